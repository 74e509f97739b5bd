//! Idle connections of one upstream: a stack for each worker thread, so that the warmest is taken first and the rest
//! can grow cold and be closed.
//!
//! A connection is registered with the event loop of the thread that opened it, so a worker looks among its own first;
//! only when it has none does it take another's, which costs a wake-up across threads but saves a TLS handshake. A
//! worker's stack is locked by that worker alone but for that case and the sweep, so the lock is not waited for.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Stream;

/// Idle connections that one worker keeps to one upstream; more than that are closed when they are done.
const PER_WORKER: usize = 1024;
/// Workers beyond this share stacks.
pub(super) const SHARDS: usize = 16;

pub(super) struct Pool {
    shards: [Mutex<Vec<Idle>>; SHARDS],
    limit: Duration,
}

struct Idle {
    stream: Stream,
    since: Instant,
}

impl Pool {
    /// A pool whose connections are closed after being idle for `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), limit }
    }

    /// A connection that still lives; dead ones found on the way are closed.
    pub(super) fn take(&self) -> Option<Stream> {
        let own = worker();
        (0..SHARDS).find_map(|offset| {
            let shard = &self.shards[(own + offset) % SHARDS];
            loop {
                // The lock is let go before the connection is looked at.
                let mut idle = shard.lock().pop()?;
                if self.lives(&mut idle) {
                    return Some(idle.stream);
                }
            }
        })
    }

    /// Keeps a connection for the next request; closes it where there are enough.
    pub(super) fn put(&self, stream: Stream) {
        let idle = Idle { stream, since: Instant::now() };
        let mut shard = self.shards[worker()].lock();
        if shard.len() < PER_WORKER {
            shard.push(idle);
        }
    }

    /// Closes what is dead or was idle for too long.
    pub(super) fn sweep(&self) {
        for shard in &self.shards {
            shard.lock().retain_mut(|idle| self.lives(idle));
        }
    }

    fn lives(&self, idle: &mut Idle) -> bool {
        idle.since.elapsed() < self.limit && idle.stream.is_idle()
    }
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

    #[tokio::test]
    async fn hands_out_only_what_lives_and_is_silent() {
        let pool = Pool::new(Duration::from_secs(60));
        let (living, _server) = pair().await;
        let (closed, server) = pair().await;
        let (talking, mut talker) = pair().await;
        drop(server);
        talker.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        for stream in [living, closed, talking] {
            // What the peer did must have been seen by the event loop.
            tokio::time::sleep(Duration::from_millis(20)).await;
            pool.put(stream);
        }
        assert!(pool.take().is_some());
        assert!(pool.take().is_none());
    }

    #[tokio::test]
    async fn closes_what_was_idle_for_too_long() {
        let pool = Pool::new(Duration::ZERO);
        pool.put(pair().await.0);
        pool.sweep();
        assert!(pool.shards.iter().all(|shard| shard.lock().is_empty()));
    }
}
