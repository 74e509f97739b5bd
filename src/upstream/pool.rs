//! Idle HTTP/1.1 connections of one endpoint: a stack for each worker thread, so that the most recently used
//! connection is taken first, and the others can become old and be closed.
//!
//! A connection is registered with the event loop of the thread that opened it, so a worker takes its own
//! connections first. It takes one of another worker only if it has none: that costs a wake-up across
//! threads, but saves a TLS handshake. Apart from that and from the sweep only its own worker locks a stack,
//! so the lock is nearly always free.
//!
//! An upstream may be closing an idle connection at the moment in which it is taken, and nothing on this side
//! can show it. A request that must not be sent twice gets no connection for which that is likely:
//!
//! - A connection is used no longer than `Keep-Alive: timeout=N` says, less one second.
//! - If the upstream was observed to close connections after some time, a connection that was idle for half
//!   of that time is left to idempotent requests.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::stream::Stream;
use super::worker::{SHARDS, shard};
use crate::config::PoolLimits;
use crate::net::deadline::{AtomicDeadline, Tick, millis};
use crate::net::exhaustion;

/// Idle connections that one worker keeps to one endpoint; further ones are closed.
const MAX_IDLE_PER_WORKER: usize = 1024;
/// Time for which an observed keep-alive limit is respected. What looked like a limit may have been a
/// restart.
const OBSERVATION_TTL: Duration = Duration::from_secs(300);

/// The idle connections of one endpoint.
pub(super) struct Pool {
    shards: [Mutex<Vec<Idle>>; SHARDS],
    idle_timeout: Duration,
    retired: AtomicBool,
    /// The number of idle connections and its limit (`pool.max_idle`), if there is a limit.
    count: Option<(AtomicUsize, usize)>,
    observed: ObservedKeepAlive,
}

struct Idle {
    stream: Stream,
    address: SocketAddr,
    since: Instant,
    /// The connection is closed after being idle for this time.
    timeout: Duration,
}

impl Pool {
    pub(super) fn new(limits: &PoolLimits) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            idle_timeout: limits.idle_timeout,
            count: limits.max_idle.map(|max_idle| (AtomicUsize::new(0), max_idle)),
            retired: AtomicBool::new(false),
            observed: ObservedKeepAlive::new(),
        }
    }

    /// Takes a connection that is still open; closed ones found on the way are dropped.
    pub(super) fn take(&self, is_idempotent: bool) -> Option<(Stream, SocketAddr, Duration)> {
        let (own, now) = (shard(), Instant::now());
        (0..SHARDS).find_map(|offset| {
            let shard = &self.shards[(own + offset) % SHARDS];
            loop {
                // The lock is released before the connection is checked.
                let mut idle = shard.lock().pop()?;
                let time = now.saturating_duration_since(idle.since);
                if !is_idempotent && self.observed.may_be_closing(time) {
                    // The most recently used one. The others were idle for longer.
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

    /// Keeps a connection for the next request; closes it if a limit is reached. `keep_alive` is the
    /// upstream's timeout.
    pub(super) fn put(&self, stream: Stream, address: SocketAddr, keep_alive: Option<Duration>) {
        // The upstream's timeout began when it wrote the response.
        let announced = keep_alive.map(|timeout| timeout.saturating_sub(Duration::from_secs(1)));
        let timeout = announced.map_or(self.idle_timeout, |announced| announced.min(self.idle_timeout));
        if timeout.is_zero() || exhaustion::is_recent() {
            return;
        }
        if let Some((count, max_idle)) = &self.count
            && count.fetch_add(1, Ordering::Relaxed) >= *max_idle
        {
            return self.release_slots(1);
        }
        let idle = Idle { stream, address, since: Instant::now(), timeout };
        let mut shard = self.shards[shard()].lock();
        // Read under the lock: `retire` sets it before it takes the lock.
        if shard.len() < MAX_IDLE_PER_WORKER && !self.retired.load(Ordering::Relaxed) {
            shard.push(idle);
        } else {
            drop(shard);
            self.release_slots(1);
        }
    }

    /// Closes every idle connection, and from now on each one that is returned.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
        for shard in &self.shards {
            let closed = std::mem::take(&mut *shard.lock());
            self.release_slots(closed.len());
        }
    }

    /// Closes connections that the upstream has closed or that were idle for too long.
    pub(super) fn sweep(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let before = shard.len();
            shard.retain_mut(|idle| !exhaustion::is_recent() && self.is_alive(idle, idle.since.elapsed()));
            self.release_slots(before - shard.len());
        }
    }

    /// The number of idle connections.
    pub(super) fn idle(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Records that the upstream closed a connection that had been idle for this time.
    pub(super) fn record_close(&self, idle: Duration) {
        self.observed.record_close(idle);
    }

    /// Subtracts closed or taken connections from the count.
    fn release_slots(&self, number: usize) {
        if let Some((count, _)) = &self.count {
            count.fetch_sub(number, Ordering::Relaxed);
        }
    }

    /// Whether a connection that was idle for `time` can be used.
    fn is_alive(&self, idle: &mut Idle, time: Duration) -> bool {
        if time >= idle.timeout {
            return false;
        }
        let is_alive = idle.stream.has_nothing_to_read();
        if !is_alive {
            self.observed.record_close(time);
        }
        is_alive
    }
}

/// The time after which the upstream was observed to close an idle connection.
struct ObservedKeepAlive {
    /// The shortest observed time, in milliseconds; `u64::MAX`: none.
    after: AtomicU64,
    /// The end of the observation's validity.
    valid_until: AtomicDeadline,
}

impl ObservedKeepAlive {
    fn new() -> Self {
        Self { after: AtomicU64::new(u64::MAX), valid_until: AtomicDeadline::off() }
    }

    fn record_close(&self, time: Duration) {
        let now = Tick::now();
        if self.valid_until.get().is_none_or(|until| now > until) {
            self.after.store(u64::MAX, Ordering::Relaxed);
        }
        self.after.fetch_min(millis(time), Ordering::Relaxed);
        self.valid_until.set(now + OBSERVATION_TTL);
    }

    fn may_be_closing(&self, idle: Duration) -> bool {
        let after = self.after.load(Ordering::Relaxed);
        after != u64::MAX
            && millis(idle) >= after / 2
            && self.valid_until.get().is_some_and(|until| Tick::now() <= until)
    }
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
        // The event loop must have noticed what the peer did.
        tokio::time::sleep(Duration::from_millis(20)).await;
        pool.put(stream, SocketAddr::from(([127, 0, 0, 1], 1)), keep_alive);
    }

    #[tokio::test]
    async fn pool_hands_out_only_open_and_silent_connections() {
        let pool = pool(MINUTE, None);
        let (open, _server) = pair().await;
        let (closed, server) = pair().await;
        let (talking, mut talker) = pair().await;
        drop(server);
        talker.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        for stream in [open, closed, talking] {
            put(&pool, stream, None).await;
        }
        assert!(pool.take(true).is_some());
        assert!(pool.take(true).is_none());
    }

    #[tokio::test]
    async fn pool_keeps_nothing_after_retire() {
        let pool = pool(Duration::from_secs(60), Some(2));
        let (before, _first) = pair().await;
        let (after, _second) = pair().await;
        put(&pool, before, None).await;
        pool.retire();
        put(&pool, after, None).await;
        assert!(pool.shards.iter().all(|shard| shard.lock().is_empty()));
    }

    #[tokio::test]
    async fn sweep_closes_connections_idle_for_too_long() {
        let pool = pool(Duration::from_millis(1), None);
        let (stream, _server) = pair().await;
        put(&pool, stream, None).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        pool.sweep();
        assert!(pool.shards.iter().all(|shard| shard.lock().is_empty()));
    }

    #[tokio::test]
    async fn pool_respects_max_idle_and_upstream_keep_alive() {
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
        assert!(pool.take(true).is_none(), "the timeout less one second is zero");
        let (stream, _server) = pair().await;
        put(&pool, stream, Some(Duration::from_secs(5))).await;
        assert!(pool.take(true).is_some());
    }

    #[tokio::test]
    async fn non_idempotent_request_avoids_closing_connections() {
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
        assert!(pool.take(false).is_some(), "a connection used just now is safe");
    }
}
