//! The cached addresses of one name, and how long they are valid.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A shorter TTL is raised to this: with a TTL of zero each connection would cost a query.
const MIN_TTL: Duration = Duration::from_secs(1);
/// Time after a failure in which the name servers are not queried again, if there is a stale answer.
const FAILURE_BACKOFF: Duration = Duration::from_secs(2);

/// The cache entry of one name.
pub(crate) struct CacheEntry {
    name: Box<str>,
    cached: Mutex<Cached>,
    /// Locked by the task that queries the name servers.
    lookup: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Cached {
    answer: Option<Addresses>,
    /// Set after a failure.
    backoff_until: Option<Instant>,
    /// The number of answers so far.
    generation: u64,
    last_used: Option<Instant>,
}

#[derive(Clone)]
struct Addresses {
    ips: Arc<[IpAddr]>,
    /// From this time on the answer is refreshed in the background.
    refresh_at: Instant,
    valid_until: Instant,
}

/// How fresh the cached addresses are.
pub(crate) enum CacheState {
    /// Valid.
    Fresh(Arc<[IpAddr]>),
    /// Valid, and due for a refresh. Only one caller per answer gets this state.
    Aging(Arc<[IpAddr]>),
    /// Expired. A caller waits for a new answer for a short time.
    Stale(Arc<[IpAddr]>),
    /// Expired, and the name servers have just failed.
    Failing(Arc<[IpAddr]>),
    /// There was no answer yet.
    Unknown,
}

impl CacheEntry {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), cached: Mutex::default(), lookup: tokio::sync::Mutex::default() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The state of the entry; marks it as used.
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
                // One caller refreshes. The others use the valid answer.
                answer.refresh_at = answer.valid_until;
                CacheState::Aging(ips)
            }
            () if is_backing_off => CacheState::Failing(ips),
            () => CacheState::Stale(ips),
        }
    }

    /// Whether the entry was not used for this time.
    pub(crate) fn is_unused_since(&self, now: Instant, time: Duration) -> bool {
        self.cached.lock().last_used.is_none_or(|used| now.saturating_duration_since(used) > time)
    }

    /// When the entry was last used; `None` if it never was.
    pub(crate) fn last_used(&self) -> Option<Instant> {
        self.cached.lock().last_used
    }

    /// Waits for the right to query the name servers.
    pub(crate) async fn lock_lookup(&self) -> LookupGuard<'_> {
        let generation = self.cached.lock().generation;
        let lock = self.lookup.lock().await;
        LookupGuard { entry: self, generation, _lock: lock }
    }
}

/// The right to query the name servers for a name.
pub(crate) struct LookupGuard<'e> {
    entry: &'e CacheEntry,
    /// The number of answers before the wait.
    generation: u64,
    _lock: tokio::sync::MutexGuard<'e, ()>,
}

impl LookupGuard<'_> {
    /// The answer that another task got during the wait.
    pub(crate) fn concurrent_result(&self) -> Option<Arc<[IpAddr]>> {
        let cached = self.entry.cached.lock();
        if cached.generation == self.generation {
            return None;
        }
        cached.answer.as_ref().map(|answer| answer.ips.clone())
    }

    /// Stores an answer.
    pub(crate) fn store(&mut self, ips: Arc<[IpAddr]>, until: Instant) {
        let now = Instant::now();
        let ttl = until.saturating_duration_since(now).max(MIN_TTL);
        let mut cached = self.entry.cached.lock();
        if cached.backoff_until.take().is_some() {
            tracing::info!(dns.name = self.entry.name(), "name resolves again");
        }
        cached.generation += 1;
        cached.answer = Some(Addresses { ips, refresh_at: now + ttl.mul_f64(0.8), valid_until: now + ttl });
    }

    /// Records a failure, and returns it as an error.
    pub(crate) fn failed(&mut self, message: &str) -> io::Error {
        let mut cached = self.entry.cached.lock();
        if cached.answer.is_some() && cached.backoff_until.is_none() {
            tracing::warn!(
                dns.name = self.entry.name(),
                "name lookup failed, the last addresses stay in use: {message}"
            );
        }
        cached.backoff_until = Some(Instant::now() + FAILURE_BACKOFF);
        io::Error::other(message.to_owned())
    }
}
