//! What will break soon, or makes other failures likely: certificates that end, and a wrong clock. For a test, for
//! `check --online` and for the status page.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::rfc3339;
use crate::refresh::{AnyStore, MAX_CLOCK_SKEW};
use crate::runtime::service::Service;

/// Certificates that end within this time are worth a warning, in seconds.
const CERTIFICATE_NOTICE: f64 = 14.0 * 24.0 * 3600.0;

/// The warnings about a service, each with what to do.
pub fn warnings(service: &Service) -> Vec<String> {
    let server = service.credential.store().map(AnyStore::server).unwrap_or_default();
    let upstream = service.upstream.certificate_end().and_then(|end| certificate("upstream", end));
    let endpoint = server.certificate_end.and_then(|end| certificate("token endpoint", end));
    let clock = server.clock_skew.and_then(|skew| clock(skew, "token endpoint", "assertions"));
    clock.into_iter().chain(upstream).chain(endpoint).collect()
}

/// The warning about a certificate of this server, which ends at this Unix time; `None` if it is good for longer.
pub(crate) fn certificate(server: &str, end: f64) -> Option<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let left = end - now;
    if left > CERTIFICATE_NOTICE {
        return None;
    }
    let verb = if left > 0.0 { "ends" } else { "ended" };
    Some(format!("The certificate of the {server} {verb} at {}: it has to be renewed there.", date(end)))
}

/// A Unix time as RFC 3339.
pub(crate) fn date(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds of a certificate")]
    let seconds = seconds as i64;
    rfc3339(seconds)
}

/// The warning about a clock that is this many seconds ahead of that of an upstream; `None` if it is about right.
pub(super) fn clock_of_upstream(skew: f64) -> Option<String> {
    clock(skew, "upstream", "signatures")
}

fn clock(skew: f64, server: &str, what: &str) -> Option<String> {
    if skew.abs() <= MAX_CLOCK_SKEW {
        return None;
    }
    let (seconds, direction) = (skew.abs().round(), if skew > 0.0 { "ahead of" } else { "behind" });
    Some(format!(
        "This machine's clock is {seconds} s {direction} that of the {server}, so that {what} and tokens may be rejected: check \
         the time synchronisation (NTP) of this machine first."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warning_names_the_direction_of_the_clock() {
        assert_eq!(clock_of_upstream(29.0), None);
        assert!(clock_of_upstream(95.4).unwrap().contains("95 s ahead of that of the upstream"));
        assert!(clock_of_upstream(-3600.0).unwrap().contains("3600 s behind"));
    }

    #[test]
    fn warning_names_the_date_of_the_certificate() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert_eq!(certificate("upstream", now + CERTIFICATE_NOTICE + 60.0), None);
        assert!(certificate("upstream", now + 3600.0).unwrap().contains("ends at 20"));
        let ended = certificate("token endpoint", 1_009_843_200.0).unwrap();
        assert!(ended.contains("token endpoint ended at 2002-01-01T00:00:00Z"), "{ended}");
    }
}
