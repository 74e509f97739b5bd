//! Tokens of other issuers that have expired before they are presented.

use std::time::{Duration, SystemTime};

use super::stated_end::own_end;

/// Why a token is not presented at this time: it is a JWT, and its `exp` has passed.
pub(crate) fn expired(token: &str, now: SystemTime) -> Option<String> {
    let since = now.duration_since(own_end(token)?).ok()?;
    Some(format!(
        "it expired {} ago: is the program that writes it still running, and is this machine's clock right?",
        spoken(since)
    ))
}

/// A duration in its largest unit.
fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
