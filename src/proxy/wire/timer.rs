//! A timeout that costs almost nothing if nothing waits.
//!
//! Most steps of a request are ready at once, and most waits end long before their limit. The clock is
//! therefore read only if a step waits, and one timer serves all waits of a connection: its deadline is
//! moved, which the runtime does without a lock. A new timer for each wait would lock twice, and would wake
//! up the event loop of an idle worker.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is used again for each wait of a connection, one wait at a time.
#[derive(Default)]
pub(crate) struct ReusableTimer {
    timer: Option<Pin<Box<Sleep>>>,
    is_running: bool,
}

/// The error of a wait that reached its limit.
#[derive(Debug)]
pub(crate) struct Elapsed;

impl ReusableTimer {
    /// Waits for `future`, at most for `limit`.
    pub(crate) async fn timeout<T>(
        &mut self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        self.reset();
        self.timeout_remaining(limit, future).await
    }

    /// Waits for `future`, at most for what remains of a limit that is running already.
    pub(crate) async fn timeout_remaining<T>(
        &mut self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll_elapsed(limit, cx).map(|()| Err(Elapsed)),
        })
        .await
    }

    /// Starts the limit again with the next wait.
    pub(crate) fn reset(&mut self) {
        self.is_running = false;
    }

    /// Forgets the task that waited last: a timer that is kept for later would keep its memory.
    pub(crate) fn release_task(&mut self) {
        if let Some(timer) = &mut self.timer {
            let _ = timer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
    }

    /// Is ready when `limit` has passed since the first call after [`reset`](Self::reset).
    pub(crate) fn poll_elapsed(&mut self, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let is_running = std::mem::replace(&mut self.is_running, true);
        let timer = match &mut self.timer {
            Some(timer) => {
                if !is_running {
                    timer.as_mut().reset(Instant::now() + limit);
                }
                timer
            }
            none => none.insert(Box::pin(sleep_until(Instant::now() + limit))),
        };
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn each_timeout_has_its_full_limit() {
        let mut timer = ReusableTimer::default();
        for limit in [LIMIT, LIMIT / 2, LIMIT * 3, LIMIT / 5] {
            let start = Instant::now();
            assert!(timer.timeout(limit, ready(())).await.is_ok());
            assert!(timer.timeout(limit, sleep(limit / 2)).await.is_ok());
            assert!(timer.timeout(limit, pending::<()>()).await.is_err());
            assert_eq!(start.elapsed(), limit / 2 + limit);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn timeout_remaining_does_not_restart_the_limit() {
        let mut timer = ReusableTimer::default();
        let start = Instant::now();
        timer.reset();
        while timer.timeout_remaining(LIMIT, sleep(LIMIT / 4)).await.is_ok() {}
        assert_eq!(start.elapsed(), LIMIT);
    }
}
