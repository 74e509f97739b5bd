//! `Retry-After` (RFC 9110 §10.2.3).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// How long a server asks to wait, in seconds or until a date; `None` if it does not ask, or the date has
/// passed. The caller sets a limit: the value is the server's.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    // A sign is no digit, though `parse` accepts one.
    match value.parse() {
        Ok(seconds) if !value.starts_with('+') => Some(Duration::from_secs(seconds)),
        _ => httpdate::parse_http_date(value).ok()?.duration_since(now).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::time::UNIX_EPOCH;

    /// 2026-01-01T00:00:00Z
    const NOW: u64 = 1_767_225_600;

    fn seconds(value: &'static str) -> Option<u64> {
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(value))]);
        retry_after(&headers, UNIX_EPOCH + Duration::from_secs(NOW)).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::now()), None);
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 120 "), Some(120));
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("Thu, 01 Jan 2026 00:02:00 GMT"), Some(120));
        // The two older forms of a date that a recipient has to accept (RFC 9110 §5.6.7).
        assert_eq!(seconds("Thursday, 01-Jan-26 00:02:00 GMT"), Some(120));
        assert_eq!(seconds("Thu Jan  1 00:02:00 2026"), Some(120));
    }

    #[test]
    fn retry_after_that_is_past_or_malformed_is_ignored() {
        for value in
            ["Wed, 31 Dec 2025 00:00:00 GMT", "soon", "", "-1", "+1", "1.5", "99999999999999999999999"]
        {
            assert_eq!(seconds(value), None, "{value}");
        }
    }
}
