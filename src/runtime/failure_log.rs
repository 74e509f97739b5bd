//! Which failed requests are logged as warnings: an upstream that is down may fail thousands of requests a second.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Time for which further failures with the same reason are only counted.
const QUIET_PERIOD: Duration = Duration::from_secs(10);

/// The series of failures of a service, one for each reason.
#[derive(Default)]
pub struct FailureLog(Mutex<Vec<Series>>);

struct Series {
    reason: &'static str,
    logged: Instant,
    suppressed: u64,
}

impl FailureLog {
    /// Whether a failure with this reason is logged as a warning: the number of failures since the last warning with
    /// this reason, or `None` if it is too early for another one.
    pub fn admit(&self, reason: &'static str) -> Option<u64> {
        self.admit_at(reason, Instant::now())
    }

    fn admit_at(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut all = self.0.lock();
        let Some(series) = all.iter_mut().find(|series| series.reason == reason) else {
            all.push(Series { reason, logged: now, suppressed: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(series.logged) < QUIET_PERIOD {
            series.suppressed += 1;
            return None;
        }
        series.logged = now;
        Some(std::mem::take(&mut series.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_a_series_are_logged_once_per_period_with_their_number() {
        let (log, start) = (FailureLog::default(), Instant::now());
        assert_eq!(log.admit_at("upstream_connect", start), Some(0));
        for _ in 0..1999 {
            assert_eq!(log.admit_at("upstream_connect", start), None);
        }
        assert_eq!(log.admit_at("upstream_timeout", start), Some(0), "another reason");
        assert_eq!(log.admit_at("upstream_connect", start + QUIET_PERIOD), Some(1999));
        assert_eq!(log.admit_at("upstream_connect", start + 2 * QUIET_PERIOD), Some(0));
    }
}
