//! Polled sources that fail, give what cannot be used, expire early, and are not used any more.

use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::SecretCache;
use super::kept::RETRY_INTERVAL;
use super::scripted::{Behaviour, Scripted};
use crate::clock::{test_clock, wall_now};
use crate::secret::{Fetched, SecretText, Source, SourceError, WatchHint};
use crate::simulation::{Promises, paused, with_seeds};

const SOURCES: usize = 5;
/// The polling interval of every source.
const INTERVAL: Duration = Duration::from_secs(300);

/// The server of one secret.
struct Server {
    value: String,
    /// Since when it has this value.
    since: Instant,
    /// Whether it answers.
    is_up: bool,
    /// Whether what it answers can be used.
    is_usable: bool,
    /// How long a value is valid, if it ends.
    lifetime: Option<Duration>,
    fetches: u32,
}

impl Behaviour for Mutex<Server> {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        let mut server = self.lock();
        server.fetches += 1;
        if !server.is_up {
            return Err(SourceError::passing("no answer"));
        }
        let value = if server.is_usable { server.value.clone() } else { "two\nlines".to_owned() };
        let expires_at = server.lifetime.map(|lifetime| wall_now() + lifetime);
        Ok(Fetched { value: SecretText::verbatim(Zeroizing::new(value)), expires_at, lease: None })
    }

    fn watch(&self) -> WatchHint {
        WatchHint::Poll(INTERVAL)
    }
}

/// A source, and what the test knows of it.
struct Watched {
    source: Source,
    server: Scripted<Mutex<Server>>,
    /// The value that was used last.
    last: Option<SecretText>,
    /// Since when the server gives a value that can be used.
    good_since: Option<Instant>,
}

impl Watched {
    fn new() -> Self {
        let value = "value-0".to_owned();
        let server =
            Server { value, since: Instant::now(), is_up: true, is_usable: true, lifetime: None, fetches: 0 };
        let server = Scripted::new(Mutex::new(server));
        let source = Source::new(server.clone());
        Self { source, server, last: None, good_since: Some(Instant::now()) }
    }

    /// Something happens at the server.
    fn disturb(&mut self, random: &mut Rng, promises: &mut Promises, number: u32) {
        let mut server = self.server.lock();
        match random.u32(0..5) {
            0 | 1 => {
                server.value = format!("value-{number}");
                server.since = Instant::now();
                promises.seen("changes");
            }
            2 => server.is_up = random.bool(),
            3 => server.is_usable = random.bool(),
            _ => server.lifetime = random.bool().then(|| Duration::from_secs(random.u64(10..600))),
        }
        let is_good = server.is_up && server.is_usable;
        self.good_since = is_good.then(|| self.good_since.unwrap_or_else(Instant::now));
    }

    /// The configuration is read: the source is used.
    fn read(&mut self, cache: &SecretCache, promises: &mut Promises) {
        let fetches = self.server.lock().fetches;
        let read = cache.fetch(&self.source, "services.a.auth.token");
        let server = self.server.lock();
        match (read, &self.last) {
            (Ok(value), last) => {
                let current = SecretText::verbatim(Zeroizing::new(server.value.clone()));
                let settled = INTERVAL + RETRY_INTERVAL;
                let is_settled = |since: Instant| since.elapsed() > settled;
                if value != current && is_settled(server.since) && self.good_since.is_some_and(is_settled) {
                    promises.broken("a secret is used an interval after it changed", || server.value.clone());
                }
                if last.is_some() && server.fetches != fetches {
                    promises.broken("reading the configuration fetches nothing that is known", String::new);
                }
                self.last = Some(value);
            }
            (Err(error), Some(_)) => {
                promises.broken("the last secret stays while its source fails", || error.to_string());
            }
            (Err(_), None) => promises.seen("first fetches that failed"),
        }
    }
}

/// Refreshes what is due until `end`, as the watcher of the configuration does.
async fn refresh_until(end: Instant, cache: &SecretCache, promises: &mut Promises) {
    loop {
        let due = cache.next_due().filter(|due| *due < end);
        tokio::time::sleep_until(due.unwrap_or(end)).await;
        if due.is_none() {
            return;
        }
        let outcome = cache.refresh(false);
        promises.seen(if outcome.failed { "refreshes that failed" } else { "refreshes" });
    }
}

async fn run(seed: u64, duration: Duration) {
    let _clock = test_clock::start();
    fastrand::seed(seed);
    let (mut random, mut promises) = (Rng::with_seed(seed), Promises::default());
    let cache = SecretCache::default();
    let mut sources: Vec<_> = (0..SOURCES).map(|_| Watched::new()).collect();
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < duration {
        number += 1;
        let end = Instant::now() + Duration::from_secs(random.u64(0..600));
        let before: Vec<_> = sources.iter().map(|source| source.server.lock().fetches).collect();
        let waited = end.duration_since(Instant::now());
        refresh_until(end, &cache, &mut promises).await;
        for (source, before) in sources.iter().zip(before) {
            // A value that is valid for ten seconds is fetched every seven. If its source fails, it is asked more often before
            // the value ends.
            let most = u32::try_from(waited.as_secs() / 6).expect("few") + 8;
            let fetches = source.server.lock().fetches - before;
            if fetches > most {
                promises.broken("a source is not asked all the time", || format!("{fetches} in {waited:?}"));
            }
        }
        let which = random.usize(0..SOURCES);
        sources[which].disturb(&mut random, &mut promises, number);
        cache.mark_unused();
        let unused = (random.u32(0..20) == 0).then(|| random.usize(0..SOURCES));
        for (index, source) in sources.iter_mut().enumerate() {
            if unused == Some(index) {
                source.last = None;
            } else {
                source.read(&cache, &mut promises);
            }
        }
        if unused.is_some() {
            promises.seen("sources that were removed");
        }
        cache.evict_unused();
        let failing = cache.stale().len();
        let bad = sources.iter().filter(|source| source.good_since.is_none()).count();
        // A failure is found at the next fetch, and its end likewise.
        if failing > bad {
            let recovering = sources
                .iter()
                .filter(|source| source.good_since.is_some_and(|since| since.elapsed() <= INTERVAL));
            if failing > bad + recovering.count() {
                promises
                    .broken("a secret is stale only while its source fails", || format!("{failing}, {bad}"));
            }
        }
    }
    promises.assert_kept(
        seed,
        &[
            ("changes", 200),
            ("refreshes", 1000),
            ("refreshes that failed", 200),
            ("first fetches that failed", 10),
            ("sources that were removed", 20),
        ],
    );
}

#[test]
fn days_of_failing_sources_break_no_promise_of_cache() {
    with_seeds(|seed, duration| paused().block_on(run(seed, duration)));
}
