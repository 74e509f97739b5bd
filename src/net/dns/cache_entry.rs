//! What is known of one name, and for how long it is good.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A shorter TTL, zero among them, counts as this: one look for each connection would be a query for each request.
const MIN_TTL: Duration = Duration::from_secs(1);
/// After a failure the name servers are left alone for this long, if there is an old answer to go on with.
const FAILURE_BACKOFF: Duration = Duration::from_secs(2);

/// One name.
pub(crate) struct CacheEntry {
    name: Box<str>,
    cached: Mutex<Cached>,
    /// Held by who asks.
    lookup: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Cached {
    answer: Option<Addresses>,
    /// After a failure.
    backoff_until: Option<Instant>,
    /// Counts answers.
    generation: u64,
    last_used: Option<Instant>,
}

#[derive(Clone)]
struct Addresses {
    ips: Arc<[IpAddr]>,
    /// From here on it is asked for again, in the background.
    refresh_at: Instant,
    valid_until: Instant,
}

/// What can be done with what is cached.
pub(crate) enum CacheState {
    /// Good.
    Fresh(Arc<[IpAddr]>),
    /// Good, and time to ask again.
    Aging(Arc<[IpAddr]>),
    /// Its TTL is over; a new one is worth a moment's wait.
    Stale(Arc<[IpAddr]>),
    /// Its TTL is over, and the name servers have just failed.
    Failing(Arc<[IpAddr]>),
    /// There never was an answer.
    Unknown,
}

impl CacheEntry {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), cached: Mutex::default(), lookup: tokio::sync::Mutex::default() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn state(&self, now: Instant) -> CacheState {
        let mut cached = self.cached.lock();
        cached.last_used = Some(now);
        let is_backing_off = cached.backoff_until.is_some_and(|until| now < until);
        let Some(answer) = &mut cached.answer else { return CacheState::Unknown };
        let ips = answer.ips.clone();
        match () {
            () if now < answer.refresh_at => CacheState::Fresh(ips),
            () if now < answer.valid_until && is_backing_off => CacheState::Fresh(ips),
            () if now < answer.valid_until => {
                // One asks; the others go on with what there is.
                answer.refresh_at = answer.valid_until;
                CacheState::Aging(ips)
            }
            () if is_backing_off => CacheState::Failing(ips),
            () => CacheState::Stale(ips),
        }
    }

    pub(crate) fn is_unused_since(&self, now: Instant, time: Duration) -> bool {
        self.cached.lock().last_used.is_none_or(|used| now.saturating_duration_since(used) > time)
    }

    /// Waits for its turn to ask.
    pub(crate) async fn lock_lookup(&self) -> LookupGuard<'_> {
        let generation = self.cached.lock().generation;
        let lock = self.lookup.lock().await;
        LookupGuard { entry: self, generation, _lock: lock }
    }
}

/// The turn to ask for a name.
pub(crate) struct LookupGuard<'e> {
    entry: &'e CacheEntry,
    /// As of before the wait.
    generation: u64,
    _lock: tokio::sync::MutexGuard<'e, ()>,
}

impl LookupGuard<'_> {
    /// The answer that somebody else got while this one waited.
    pub(crate) fn concurrent_result(&self) -> Option<Arc<[IpAddr]>> {
        let cached = self.entry.cached.lock();
        if cached.generation == self.generation {
            return None;
        }
        cached.answer.as_ref().map(|answer| answer.ips.clone())
    }

    pub(crate) fn store(&mut self, ips: Arc<[IpAddr]>, until: Instant) {
        let now = Instant::now();
        let ttl = until.saturating_duration_since(now).max(MIN_TTL);
        let mut cached = self.entry.cached.lock();
        if cached.backoff_until.take().is_some() {
            tracing::info!(dns.name = self.entry.name(), "the name resolves again");
        }
        cached.generation += 1;
        cached.answer = Some(Addresses { ips, refresh_at: now + ttl.mul_f64(0.8), valid_until: now + ttl });
    }

    /// Notes a failure, and makes the error of it.
    pub(crate) fn failed(&mut self, message: &str) -> io::Error {
        let mut cached = self.entry.cached.lock();
        if cached.answer.is_some() && cached.backoff_until.is_none() {
            tracing::warn!(dns.name = self.entry.name(), "the last addresses stay in use: {message}");
        }
        cached.backoff_until = Some(Instant::now() + FAILURE_BACKOFF);
        io::Error::other(message.to_owned())
    }
}
