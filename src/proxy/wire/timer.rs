//! A limit on waiting that costs next to nothing where nobody waits.
//!
//! Most steps of a request are done at once, and of those that wait hardly one reaches its limit. So the clock is read
//! only when something has to wait, and there is one timer for all the waits of a connection, which is put off again and
//! again: the runtime does that without a lock. A new timer for every wait takes a lock twice, and on a quiet worker
//! wakes the event loop up just to be heard.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Waits for one thing at a time.
#[derive(Default)]
pub(crate) struct ReusableTimer {
    timer: Option<Pin<Box<Sleep>>>,
    is_running: bool,
}

/// The limit was reached.
#[derive(Debug)]
pub(crate) struct Elapsed;

impl ReusableTimer {
    /// Waits for `future`, but no longer than `limit`.
    pub(crate) async fn timeout<T>(
        &mut self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        self.reset();
        self.timeout_remaining(limit, future).await
    }

    /// The same, with what is left of a limit that is running already.
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

    /// The next wait has all of its limit before it.
    pub(crate) fn reset(&mut self) {
        self.is_running = false;
    }

    /// Ready when `limit` is over since the first call after [`renew`](Self::renew).
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
    async fn every_wait_has_all_of_its_limit_whatever_the_one_before() {
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
    async fn waiting_on_does_not_begin_anew() {
        let mut timer = ReusableTimer::default();
        let start = Instant::now();
        timer.reset();
        while timer.timeout_remaining(LIMIT, sleep(LIMIT / 4)).await.is_ok() {}
        assert_eq!(start.elapsed(), LIMIT);
    }
}
