//! What is known of one name, and for how long it is good.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A shorter TTL, zero among them, counts as this: one look for each connection would be a query for each request.
const MIN_TTL: Duration = Duration::from_secs(1);
/// After a failure the name servers are left alone for this long, if there is an old answer to go on with.
const REST: Duration = Duration::from_secs(2);

/// One name.
pub(crate) struct Name {
    text: Box<str>,
    known: Mutex<Known>,
    /// Held by who asks.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    answer: Option<Answer>,
    /// After a failure.
    rest_until: Option<Instant>,
    /// Counts answers.
    generation: u64,
    used: Option<Instant>,
}

#[derive(Clone)]
struct Answer {
    ips: Arc<[IpAddr]>,
    /// From here on it is asked for again, in the background.
    renew: Instant,
    until: Instant,
}

/// What can be done with what is known.
pub(crate) enum Use {
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

impl Name {
    pub(crate) fn new(name: &str) -> Self {
        Self { text: name.into(), known: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn look(&self, now: Instant) -> Use {
        let mut known = self.known.lock();
        known.used = Some(now);
        let rests = known.rest_until.is_some_and(|until| now < until);
        let Some(answer) = &mut known.answer else { return Use::Unknown };
        let ips = answer.ips.clone();
        match () {
            () if now < answer.renew => Use::Fresh(ips),
            () if now < answer.until && rests => Use::Fresh(ips),
            () if now < answer.until => {
                // One asks; the others go on with what there is.
                answer.renew = answer.until;
                Use::Aging(ips)
            }
            () if rests => Use::Failing(ips),
            () => Use::Stale(ips),
        }
    }

    pub(crate) fn is_unused_since(&self, now: Instant, time: Duration) -> bool {
        self.known.lock().used.is_none_or(|used| now.saturating_duration_since(used) > time)
    }

    /// Waits for its turn to ask.
    pub(crate) async fn asking(&self) -> Asking<'_> {
        let generation = self.known.lock().generation;
        let turn = self.asking.lock().await;
        Asking { name: self, generation, _turn: turn }
    }
}

/// The turn to ask for a name.
pub(crate) struct Asking<'n> {
    name: &'n Name,
    /// As of before the wait.
    generation: u64,
    _turn: tokio::sync::MutexGuard<'n, ()>,
}

impl Asking<'_> {
    /// The answer that somebody else got while this one waited.
    pub(crate) fn answered_meanwhile(&self) -> Option<Arc<[IpAddr]>> {
        let known = self.name.known.lock();
        if known.generation == self.generation {
            return None;
        }
        known.answer.as_ref().map(|answer| answer.ips.clone())
    }

    pub(crate) fn answered(&mut self, ips: Arc<[IpAddr]>, until: Instant) {
        let now = Instant::now();
        let ttl = until.saturating_duration_since(now).max(MIN_TTL);
        let mut known = self.name.known.lock();
        if known.rest_until.take().is_some() {
            tracing::info!(dns.name = self.name.as_str(), "the name resolves again");
        }
        known.generation += 1;
        known.answer = Some(Answer { ips, renew: now + ttl.mul_f64(0.8), until: now + ttl });
    }

    /// Notes a failure, and makes the error of it.
    pub(crate) fn failed(&mut self, message: &str) -> io::Error {
        let mut known = self.name.known.lock();
        if known.answer.is_some() && known.rest_until.is_none() {
            tracing::warn!(dns.name = self.name.as_str(), "the last addresses stay in use: {message}");
        }
        known.rest_until = Some(Instant::now() + REST);
        io::Error::other(message.to_owned())
    }
}
