//! The errors of the accept loop, which logs through the `log` facade. They hold no bytes of a request and are passed on;
//! every other line of any dependency is dropped.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus::IntCounter;

/// Each worker tries again every second, at every listener: failures that are no further apart than this are one episode.
const EPISODE: Duration = Duration::from_secs(60);

/// Global because the logger of a process is, and the accept loop reports failures there alone.
static FAILURES: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "Attempts to accept a connection that failed, most likely because too many files were open.";
    IntCounter::new("sidekey_accept_failures_total", help).expect("a name and a help text")
});

static EPISODES: Mutex<Episodes> = Mutex::new(Episodes { last: None });

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
        FAILURES.inc();
        if EPISODES.lock().begins(Instant::now()) {
            tracing::error!(
                target: "sidekey::listener",
                error = text.trim(),
                "cannot accept a connection; it waits, and Sidekey tries again every second. If the error is «too many open \
                 files», raise the limit (ulimit -Hn, LimitNOFILE) or lower `max_connections`. This is logged once for a \
                 series of failures; sidekey_accept_failures_total counts all of them"
            );
        }
    }

    fn flush(&self) {}
}

/// Failures that follow one another.
struct Episodes {
    last: Option<Instant>,
}

impl Episodes {
    /// Takes note of a failure; whether it is the first one.
    fn begins(&mut self, now: Instant) -> bool {
        let last = self.last.replace(now);
        last.is_none_or(|last| now.saturating_duration_since(last) > EPISODE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_what_dependencies_log() {
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
    fn failures_in_a_row_are_one_episode() {
        let mut episodes = Episodes { last: None };
        let start = Instant::now();
        let begins: Vec<_> = [0, 1, 60, 120, 181, 182]
            .map(|second| episodes.begins(start + Duration::from_secs(second)))
            .into();
        assert_eq!(begins, [true, false, false, false, true, false]);
    }
}
