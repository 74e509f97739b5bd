//! Sessions that were opened at servers, and that are ended there when they are not used any more: after a new one has taken their
//! place, when their service is removed, and at the end of the process.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long a session stays open after it was replaced: a request that was signed with it may still be on the way.
const DELAY: Duration = Duration::from_secs(2);

/// Limit on one logout, and on all of them at the end of the process.
const LIMIT: Duration = Duration::from_secs(3);

/// The open sessions of the process, and how each is ended.
pub struct Logouts {
    open: Mutex<HashMap<u64, BoxFuture<'static, ()>>>,
    next: AtomicU64,
    running: watch::Sender<usize>,
}

impl Default for Logouts {
    fn default() -> Self {
        Self { open: Mutex::default(), next: AtomicU64::new(0), running: watch::Sender::new(0) }
    }
}

impl Logouts {
    /// Keeps what ends a session. It runs once, after what is returned was dropped, or at the end of the process.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn register(self: &Arc<Self>, logout: BoxFuture<'static, ()>) -> OpenSession {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().insert(id, logout);
        OpenSession { id, logouts: self.clone(), runtime: Handle::current() }
    }

    /// Ends all sessions, within a few seconds.
    pub async fn shut_down(&self) {
        let open = std::mem::take(&mut *self.open.lock());
        join_all(open.into_values().map(|logout| self.run(logout))).await;
        let mut running = self.running.subscribe();
        let _ = timeout(LIMIT, running.wait_for(|running| *running == 0)).await;
    }

    async fn end(&self, id: u64) {
        let logout = self.open.lock().remove(&id);
        if let Some(logout) = logout {
            self.run(logout).await;
        }
    }

    async fn run(&self, logout: BoxFuture<'static, ()>) {
        self.running.send_modify(|running| *running += 1);
        let _ = timeout(LIMIT, logout).await;
        self.running.send_modify(|running| *running -= 1);
    }
}

/// An open session. It is ended a moment after this is dropped.
pub struct OpenSession {
    id: u64,
    logouts: Arc<Logouts>,
    runtime: Handle,
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        let (id, logouts) = (self.id, self.logouts.clone());
        self.runtime.spawn(async move {
            sleep(DELAY).await;
            logouts.end(id).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session, and how often it was ended.
    fn session(logouts: &Arc<Logouts>) -> (OpenSession, Arc<AtomicU64>) {
        let ended = Arc::new(AtomicU64::new(0));
        let count = ended.clone();
        let logout = async move {
            count.fetch_add(1, Ordering::Relaxed);
        };
        (logouts.register(Box::pin(logout)), ended)
    }

    #[tokio::test(start_paused = true)]
    async fn session_is_ended_once_after_it_was_dropped() {
        let logouts = Arc::new(Logouts::default());
        let (open, ended) = session(&logouts);
        sleep(10 * DELAY).await;
        assert_eq!(ended.load(Ordering::Relaxed), 0, "it is in use");
        drop(open);
        sleep(2 * DELAY).await;
        assert_eq!(ended.load(Ordering::Relaxed), 1);
        logouts.shut_down().await;
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_are_ended_at_the_end_of_the_process() {
        let logouts = Arc::new(Logouts::default());
        let ((open, one), (dropped, other)) = (session(&logouts), session(&logouts));
        drop(dropped);
        logouts.shut_down().await;
        assert_eq!((one.load(Ordering::Relaxed), other.load(Ordering::Relaxed)), (1, 1));
        drop(open);
        sleep(2 * DELAY).await;
        assert_eq!(one.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn server_that_does_not_answer_delays_the_end_for_a_moment_only() {
        let logouts = Arc::new(Logouts::default());
        let _open = logouts.register(Box::pin(std::future::pending()));
        let began = tokio::time::Instant::now();
        logouts.shut_down().await;
        assert!(began.elapsed() <= 2 * LIMIT);
    }
}
