//! Idle connections of one upstream: a stack for each worker thread, so that the warmest is taken first and the rest
//! can grow cold and be closed.
//!
//! A connection is registered with the event loop of the thread that opened it, so a worker looks among its own first;
//! only when it has none does it take another's, which costs a wake-up across threads but saves a TLS handshake. A
//! worker's stack is locked by that worker alone but for that case and the sweep, so the lock is not waited for.
//!
//! Nobody can know whether an upstream is closing an idle connection right now. A request that must not be sent twice is
//! kept away from where that is likely: `Keep-Alive: timeout=N` is kept to with a second to spare, and where an upstream
//! was seen to close connections after some time, one that was idle for half of that is left to other requests.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Stream;
use crate::config::PoolLimits;

/// Idle connections that one worker keeps to one URL; more than that are closed when they are done.
const MAX_IDLE_PER_WORKER: usize = 1024;
/// Workers beyond this share stacks.
pub(super) const SHARDS: usize = 16;
/// What was seen of an upstream's own limit counts for this long: it may have been a restart.
const OBSERVATION_TTL: Duration = Duration::from_secs(300);

pub(super) struct Pool {
    shards: [Mutex<Vec<Idle>>; SHARDS],
    limit: Duration,
    retired: AtomicBool,
    /// How many there are and may be, where that is limited.
    count: Option<(AtomicUsize, usize)>,
    observed: ObservedKeepAlive,
}

struct Idle {
    stream: Stream,
    address: SocketAddr,
    since: Instant,
    /// Idle for longer than this, it is closed.
    limit: Duration,
}

impl Pool {
    pub(super) fn new(limits: &PoolLimits) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            limit: limits.idle_timeout,
            count: limits.max_idle.map(|max_idle| (AtomicUsize::new(0), max_idle)),
            retired: AtomicBool::new(false),
            observed: ObservedKeepAlive::new(),
        }
    }

    /// A connection that still lives; dead ones found on the way are closed.
    pub(super) fn take(&self, is_idempotent: bool) -> Option<(Stream, SocketAddr, Duration)> {
        let (own, now) = (worker(), Instant::now());
        (0..SHARDS).find_map(|offset| {
            let shard = &self.shards[(own + offset) % SHARDS];
            loop {
                // The lock is let go before the connection is looked at.
                let mut idle = shard.lock().pop()?;
                let time = now.saturating_duration_since(idle.since);
                if !is_idempotent && self.observed.may_be_closing(time) {
                    // The warmest of them; the others are colder.
                    shard.lock().push(idle);
                    return None;
                }
                self.release_slots(1);
                if self.is_alive(&mut idle, time) {
                    return Some((idle.stream, idle.address, time));
                }
            }
        })
    }

    /// Keeps a connection for the next request; closes it where there are enough. `keep_alive` is what the upstream said.
    pub(super) fn put(&self, stream: Stream, address: SocketAddr, keep_alive: Option<Duration>) {
        // It counts from when it wrote the answer.
        let said = keep_alive.map(|time| time.saturating_sub(Duration::from_secs(1)));
        let limit = said.map_or(self.limit, |said| said.min(self.limit));
        if limit.is_zero() {
            return;
        }
        if let Some((count, max_idle)) = &self.count
            && count.fetch_add(1, Ordering::Relaxed) >= *max_idle
        {
            return self.release_slots(1);
        }
        let idle = Idle { stream, address, since: Instant::now(), limit };
        let mut shard = self.shards[worker()].lock();
        // Looked at under the lock that retiring takes after it has said so.
        if shard.len() < MAX_IDLE_PER_WORKER && !self.retired.load(Ordering::Relaxed) {
            shard.push(idle);
        } else {
            drop(shard);
            self.release_slots(1);
        }
    }

    /// Closes every idle connection, and from now on each that comes back.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
        for shard in &self.shards {
            let closed = std::mem::take(&mut *shard.lock());
            self.release_slots(closed.len());
        }
    }

    /// Closes what is dead or was idle for too long.
    pub(super) fn sweep(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let before = shard.len();
            shard.retain_mut(|idle| self.is_alive(idle, idle.since.elapsed()));
            self.release_slots(before - shard.len());
        }
    }

    /// The number of idle connections.
    pub(super) fn idle(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// The upstream closed a connection that was taken after so long.
    pub(super) fn record_close(&self, idle: Duration) {
        self.observed.record_close(idle);
    }

    fn release_slots(&self, number: usize) {
        if let Some((count, _)) = &self.count {
            count.fetch_sub(number, Ordering::Relaxed);
        }
    }

    /// Whether a connection that was idle for so long can be used.
    fn is_alive(&self, idle: &mut Idle, time: Duration) -> bool {
        if time >= idle.limit {
            return false;
        }
        let is_alive = idle.stream.has_nothing_to_read();
        if !is_alive {
            self.observed.record_close(time);
        }
        is_alive
    }
}

/// After what time idle the upstream was seen to have closed a connection.
struct ObservedKeepAlive {
    start: Instant,
    /// Milliseconds; `u64::MAX`: never.
    after: AtomicU64,
    /// Milliseconds since `start`.
    until: AtomicU64,
}

impl ObservedKeepAlive {
    fn new() -> Self {
        Self { start: Instant::now(), after: AtomicU64::new(u64::MAX), until: AtomicU64::new(0) }
    }

    fn record_close(&self, time: Duration) {
        let now = self.start.elapsed();
        if now > Duration::from_millis(self.until.load(Ordering::Relaxed)) {
            self.after.store(u64::MAX, Ordering::Relaxed);
        }
        self.after.fetch_min(millis(time), Ordering::Relaxed);
        self.until.store(millis(now + OBSERVATION_TTL), Ordering::Relaxed);
    }

    fn may_be_closing(&self, idle: Duration) -> bool {
        let after = self.after.load(Ordering::Relaxed);
        after != u64::MAX
            && millis(idle) >= after / 2
            && self.start.elapsed() <= Duration::from_millis(self.until.load(Ordering::Relaxed))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The shard of the current thread.
pub(super) fn worker() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
    }
    OWN.with(Cell::get)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Stream::Plain(client), listener.accept().await.unwrap().0)
    }

    fn pool(idle_timeout: Duration, max_idle: Option<usize>) -> Pool {
        Pool::new(&PoolLimits { max_idle, idle_timeout })
    }

    const MINUTE: Duration = Duration::from_secs(60);

    async fn put(pool: &Pool, stream: Stream, keep_alive: Option<Duration>) {
        // What the peer did must have been seen by the event loop.
        tokio::time::sleep(Duration::from_millis(20)).await;
        pool.put(stream, SocketAddr::from(([127, 0, 0, 1], 1)), keep_alive);
    }

    #[tokio::test]
    async fn hands_out_only_what_lives_and_is_silent() {
        let pool = pool(MINUTE, None);
        let (living, _server) = pair().await;
        let (closed, server) = pair().await;
        let (talking, mut talker) = pair().await;
        drop(server);
        talker.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        for stream in [living, closed, talking] {
            put(&pool, stream, None).await;
        }
        assert!(pool.take(true).is_some());
        assert!(pool.take(true).is_none());
    }

    #[tokio::test]
    async fn keeps_nothing_once_it_is_retired() {
        let pool = pool(Duration::from_secs(60), Some(2));
        let (before, _first) = pair().await;
        let (after, _second) = pair().await;
        put(&pool, before, None).await;
        pool.retire();
        put(&pool, after, None).await;
        assert!(pool.shards.iter().all(|shard| shard.lock().is_empty()));
    }

    #[tokio::test]
    async fn closes_what_was_idle_for_too_long() {
        let pool = pool(Duration::from_millis(1), None);
        let (stream, _server) = pair().await;
        put(&pool, stream, None).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        pool.sweep();
        assert!(pool.shards.iter().all(|shard| shard.lock().is_empty()));
    }

    #[tokio::test]
    async fn keeps_no_more_than_it_may_and_no_longer_than_the_upstream_does() {
        let pool = pool(MINUTE, Some(1));
        let pairs = [pair().await, pair().await, pair().await];
        let mut servers = Vec::new();
        for (stream, server) in pairs {
            put(&pool, stream, None).await;
            servers.push(server);
        }
        assert!(pool.take(true).is_some() && pool.take(true).is_none());
        let (stream, _server) = pair().await;
        put(&pool, stream, Some(Duration::from_secs(1))).await;
        assert!(pool.take(true).is_none(), "one second, less one to spare");
        let (stream, _server) = pair().await;
        put(&pool, stream, Some(Duration::from_secs(5))).await;
        assert!(pool.take(true).is_some());
    }

    #[tokio::test]
    async fn a_request_that_must_not_be_sent_twice_keeps_away_from_what_may_be_closing() {
        let pool = pool(MINUTE, None);
        let (closed, server) = pair().await;
        pool.put(closed, server.local_addr().unwrap(), None);
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(server);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(pool.take(false).is_none(), "closed after some 100 ms");
        let (stream, _server) = pair().await;
        put(&pool, stream, None).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(pool.take(false).is_none());
        assert!(pool.take(true).is_some());
        let (stream, _server) = pair().await;
        put(&pool, stream, None).await;
        assert!(pool.take(false).is_some(), "one just used is as good as any");
    }
}
