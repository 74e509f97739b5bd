//! The progress of the batch that is being exported: its attempts, as the transport sees them.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Longest `Retry-After` that is followed. The SDK alone would follow 30 seconds at most.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// The progress of the current batch.
#[derive(Default)]
pub(super) struct BatchProgress(watch::Sender<State>);

#[derive(Default)]
struct State {
    /// Whether an attempt failed and the next one has not begun.
    is_between_attempts: bool,
    /// Time before which the collector wants no further attempt.
    not_before: Option<Instant>,
    rejected_spans: u64,
}

impl BatchProgress {
    /// Begins another batch.
    pub(super) fn begin_batch(&self) {
        self.0.send_replace(State::default());
    }

    /// Begins an attempt, after the time that the collector asked for.
    pub(super) async fn begin_attempt(&self) {
        let not_before = self.0.borrow().not_before;
        if let Some(not_before) = not_before {
            sleep_until(not_before).await;
        }
        self.0.send_modify(|state| state.is_between_attempts = false);
    }

    /// Ends an attempt that failed.
    pub(super) fn fail_attempt(&self, retry_after: Option<Duration>) {
        self.0.send_modify(|state| {
            state.is_between_attempts = true;
            state.not_before = retry_after.map(|wait| Instant::now() + wait.min(MAX_RETRY_AFTER));
        });
    }

    /// Ends the attempt that the collector accepted, except for some of the spans.
    pub(super) fn accept(&self, rejected_spans: u64) {
        self.0.send_modify(|state| state.rejected_spans = rejected_spans);
    }

    /// Number of spans of the batch that the collector rejected although it accepted the attempt.
    pub(super) fn rejected_spans(&self) -> u64 {
        self.0.borrow().rejected_spans
    }

    /// Waits until an attempt has failed and the next one has not begun.
    pub(super) async fn between_attempts(&self) {
        // It cannot fail: `self` has the sender.
        let _ = self.0.subscribe().wait_for(|state| state.is_between_attempts).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    async fn wait_after(retry_after: Option<u64>) -> u64 {
        let progress = BatchProgress::default();
        progress.begin_attempt().await;
        progress.fail_attempt(retry_after.map(Duration::from_secs));
        let start = Instant::now();
        progress.begin_attempt().await;
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn attempt_begins_after_the_time_asked_for() {
        assert_eq!(wait_after(None).await, 0);
        assert_eq!(wait_after(Some(0)).await, 0);
        assert_eq!(wait_after(Some(120)).await, 120);
        assert_eq!(wait_after(Some(u64::MAX)).await, 300);
    }

    #[tokio::test(start_paused = true)]
    async fn between_attempts_lasts_until_the_next_begins() {
        let progress = BatchProgress::default();
        let is_between = || progress.between_attempts().now_or_never().is_some();
        progress.begin_batch();
        progress.begin_attempt().await;
        assert!(!is_between());
        progress.fail_attempt(Some(Duration::from_secs(60)));
        assert!(is_between());
        let mut next = Box::pin(progress.begin_attempt());
        assert!(next.as_mut().now_or_never().is_none() && is_between(), "it waits");
        next.await;
        assert!(!is_between());
        progress.fail_attempt(None);
        progress.begin_batch();
        assert!(!is_between());
    }
}
