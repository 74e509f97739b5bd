//! What a refresher did last and will do next.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::error::SourceError;
use super::expiry;
use super::source::Cause;

/// What the refresher did last and will do next. Readiness, metrics, the status page and error responses read
/// it.
#[derive(Debug, Clone, Default)]
pub struct RefreshStatus {
    /// Number of consecutive failed attempts.
    pub failures: u32,
    /// The error of the last attempt, if it failed.
    pub last_error: Option<SourceError>,
    /// Time of the first of the consecutive failures.
    pub failing_since: Option<SystemTime>,
    /// Time of the last success.
    pub last_success: Option<SystemTime>,
    /// When the next attempt is due.
    pub next_attempt: Option<Instant>,
    /// Whether an attempt is in progress.
    pub in_flight: bool,
    /// Time of the last forced refresh.
    pub(super) last_forced: Option<Instant>,
    /// When the last attempt started.
    pub(super) last_started: Option<Instant>,
    /// Why the next attempt is requested before it is due.
    pub(super) requested: Option<Cause>,
}

impl RefreshStatus {
    /// Time until the next attempt, for `Retry-After`.
    pub fn next_attempt_in(&self) -> Duration {
        self.next_attempt.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()))
    }

    /// `next_attempt` on the wall clock.
    pub fn next_attempt_wall(&self) -> Option<SystemTime> {
        self.next_attempt.map(|_| SystemTime::now() + self.next_attempt_in())
    }

    /// Time since the first of the consecutive failures.
    pub fn failing_for(&self) -> Option<Duration> {
        Some(SystemTime::now().duration_since(self.failing_since?).unwrap_or_default())
    }

    /// `next_attempt` as Unix time.
    pub fn next_attempt_unix_seconds(&self) -> Option<f64> {
        self.next_attempt_wall().map(expiry::unix_seconds)
    }

    /// `last_success` as Unix time.
    pub fn last_success_unix_seconds(&self) -> Option<f64> {
        self.last_success.map(expiry::unix_seconds)
    }

    /// Whether the outcome of an attempt may be known by `deadline`: one runs, or is due until then. After a
    /// rejection the next one is not waited for, because it is not expected to succeed.
    pub(super) fn may_succeed_by(&self, deadline: Instant) -> bool {
        let is_rejected = self.last_error.as_ref().is_some_and(|error| error.kind.needs_intervention());
        // Without a time the refresher is about to start.
        let is_due = self.next_attempt.is_none_or(|due| due <= deadline);
        self.in_flight || (is_due && !is_rejected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refresh::SourceErrorKind::{Connect, LoginRequired, Refused};

    #[tokio::test(start_paused = true)]
    async fn outcome_is_expected_of_an_attempt_that_runs_or_is_due() {
        let deadline = Instant::now() + Duration::from_secs(5);
        let status = |error: Option<_>, due: u64| RefreshStatus {
            last_error: error.map(|kind| SourceError::new(kind, "")),
            next_attempt: Some(Instant::now() + Duration::from_secs(due)),
            ..RefreshStatus::default()
        };
        assert!(RefreshStatus::default().may_succeed_by(deadline), "about to start");
        assert!(status(None, 5).may_succeed_by(deadline) && !status(None, 6).may_succeed_by(deadline));
        assert!(status(Some(Connect), 5).may_succeed_by(deadline));
        assert!(!status(Some(Connect), 6).may_succeed_by(deadline));
        for rejected in [Refused, LoginRequired] {
            let waiting = status(Some(rejected), 1);
            assert!(!waiting.may_succeed_by(deadline));
            assert!(RefreshStatus { in_flight: true, ..waiting }.may_succeed_by(deadline));
        }
    }
}
