//! The watchdog of systemd (`WatchdogSec=`, `sd_watchdog_enabled(3)`): it restarts a process that is stuck.

use std::time::Duration;

use super::sd_notify;
use crate::app::App;

/// The time within which systemd expects a notification, in microseconds.
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
/// The process that is to send it. A process that takes over is another one, and is started without.
pub(super) const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// Notifies systemd for as long as this thread and every worker run tasks. Does nothing without a watchdog. Never returns.
pub(super) async fn notify(app: &App) {
    let variable = |name| std::env::var(name).ok();
    let Some(limit) = limit(variable(WATCHDOG_USEC).as_deref(), variable(WATCHDOG_PID).as_deref()) else {
        return std::future::pending().await;
    };
    loop {
        if app.workers_respond().await {
            sd_notify::watchdog();
        }
        // As sd_watchdog_enabled(3) recommends.
        tokio::time::sleep(limit / 2).await;
    }
}

/// The time limit of the watchdog, if it is for this process.
fn limit(microseconds: Option<&str>, process: Option<&str>) -> Option<Duration> {
    let is_ours = process.is_none_or(|id| id == std::process::id().to_string());
    let limit = Duration::from_micros(microseconds?.parse().ok()?);
    (is_ours && !limit.is_zero()).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watchdog_limit_is_read_if_it_is_for_this_process() {
        let own = std::process::id().to_string();
        for (microseconds, process, expected) in [
            (Some("30000000"), None, Some(Duration::from_secs(30))),
            (Some("500"), Some(own.as_str()), Some(Duration::from_micros(500))),
            (Some("500"), Some("1"), None),
            (Some("0"), None, None),
            (Some("-1"), None, None),
            (Some("soon"), None, None),
            (None, Some(own.as_str()), None),
        ] {
            assert_eq!(limit(microseconds, process), expected, "{microseconds:?} {process:?}");
        }
    }
}
