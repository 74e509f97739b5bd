//! The errors of the accept loop, which logs through the `log` facade. They hold no bytes of a request and are passed on;
//! every other line of any dependency is dropped.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus::IntCounter;

/// Each worker tries again every second, at every listener: the log is quiet until there was no failure for this time.
const QUIET_PERIOD: Duration = Duration::from_secs(60);

/// Global because the logger of a process is, and the accept loop reports failures there alone.
static FAILURES: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "Attempts to accept a connection that failed, most likely because too many files were open.";
    IntCounter::new("sidekey_accept_failures_total", help).expect("a name and a help text")
});

static THROTTLE: Mutex<LogThrottle> = Mutex::new(LogThrottle { last: None });

/// Counts the connections that could not be accepted.
pub fn accept_failures() -> &'static IntCounter {
    &FAILURES
}

/// How to recognise the errors of the accept loop in the `log` facade.
#[derive(Debug, Clone, Copy)]
pub struct AcceptLog {
    /// The target of its events.
    pub target: &'static str,
    /// How the text begins if a connection could not be accepted.
    pub accept_failed: &'static str,
}

pub(crate) fn init(accept_log: AcceptLog) {
    if log::set_boxed_logger(Box::new(accept_log)).is_ok() {
        log::set_max_level(log::LevelFilter::Error);
    }
}

/// Counts a connection that could not be accepted, and logs the first one of a series.
pub fn record_accept_failure(text: &str) {
    FAILURES.inc();
    if THROTTLE.lock().should_log(Instant::now()) {
        tracing::error!(
            target: "sidekey::listener",
            error = text.trim(),
            "cannot accept a connection; it waits, and Sidekey tries again every second. If the error is «too many open \
             files», raise the limit (ulimit -Hn, LimitNOFILE) or lower `max_connections`. This is logged once for a \
             series of failures; sidekey_accept_failures_total counts all of them"
        );
    }
}

impl log::Log for AcceptLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() == log::Level::Error && metadata.target() == self.target
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        if !text.starts_with(self.accept_failed) {
            tracing::error!(target: "sidekey::listener", "accept loop: {text}");
            return;
        }
        record_accept_failure(&text);
    }

    fn flush(&self) {}
}

/// Lets the first of a series of failures into the log.
struct LogThrottle {
    last: Option<Instant>,
}

impl LogThrottle {
    /// Records a failure, and returns whether it is the first of a series.
    fn should_log(&mut self, now: Instant) -> bool {
        let last = self.last.replace(now);
        last.is_none_or(|last| now.saturating_duration_since(last) > QUIET_PERIOD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_log_drops_events_of_other_targets() {
        let accept_log = AcceptLog { target: "engine::listening", accept_failed: "Accept() failed" };
        let enabled = |target| {
            log::Log::enabled(
                &accept_log,
                &log::Metadata::builder().level(log::Level::Error).target(target).build(),
            )
        };
        assert!(enabled("engine::listening"));
        assert!(!enabled("engine::protocols::http::v1::server"));
        assert!(!enabled("rustls::msgs"));
    }

    #[test]
    fn throttle_logs_first_failure_of_a_series() {
        let mut throttle = LogThrottle { last: None };
        let start = Instant::now();
        let logged: Vec<_> = [0, 1, 60, 120, 181, 182]
            .map(|second| throttle.should_log(start + Duration::from_secs(second)))
            .into();
        assert_eq!(logged, [true, false, false, false, true, false]);
    }
}
