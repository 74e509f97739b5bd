//! What is passed on of the log of pingora: the errors of its listeners, which hold no bytes of a request. Every other line of
//! any dependency is dropped.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus::IntCounter;

/// How the engine begins where it could not accept a connection.
const ACCEPT: &str = "Accept() failed";
/// Each worker tries again every second, at every listener: failures that are no further apart than this are one episode.
const EPISODE: Duration = Duration::from_secs(60);

/// Global because the logger of a process is, and the engine tells of it there alone.
static FAILURES: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "Attempts to accept a connection that failed, most likely because too many files were open.";
    IntCounter::new("sidekey_accept_failures_total", help).expect("a name and a help text")
});

static EPISODES: Mutex<Episodes> = Mutex::new(Episodes { last: None });

/// Counts the connections that could not be accepted.
pub fn accept_failures() -> &'static IntCounter {
    &FAILURES
}

pub(crate) fn init() {
    if log::set_logger(&EngineLog).is_ok() {
        log::set_max_level(log::LevelFilter::Error);
    }
}

struct EngineLog;

impl log::Log for EngineLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() == log::Level::Error && metadata.target() == "pingora_core::services::listening"
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        if !text.starts_with(ACCEPT) {
            tracing::error!(target: "sidekey::listener", "{text}");
            return;
        }
        FAILURES.inc();
        if EPISODES.lock().begins(Instant::now()) {
            tracing::error!(
                target: "sidekey::listener",
                error = text.trim(),
                "a caller's connection cannot be accepted and waits; it is tried again every second. With «too many open files», \
                 raise the limit on them (ulimit -Hn, LimitNOFILE) or lower `max_connections`. This is said once; \
                 sidekey_accept_failures_total counts on"
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
        let enabled = |target| {
            log::Log::enabled(
                &EngineLog,
                &log::Metadata::builder().level(log::Level::Error).target(target).build(),
            )
        };
        assert!(enabled("pingora_core::services::listening"));
        assert!(!enabled("pingora_core::protocols::http::v1::server"));
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
