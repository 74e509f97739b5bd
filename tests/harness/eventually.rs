//! Waiting for asynchronous effects without a fixed sleep.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Polls `check` until it is true; panics with `what` once `deadline` has passed.
pub async fn assert_eventually(deadline: Duration, what: &str, mut check: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + deadline;
    while !check().await {
        assert!(Instant::now() < end, "did not happen within {deadline:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
