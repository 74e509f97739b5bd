//! Dates of certificates in messages.

use chrono::{DateTime, SecondsFormat};

/// A date as RFC 3339, in UTC.
pub fn rfc3339(unix_seconds: i64) -> String {
    let date = DateTime::from_timestamp(unix_seconds, 0);
    date.map_or_else(|| "an impossible date".into(), |date| date.to_rfc3339_opts(SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_rfc_3339() {
        assert_eq!(rfc3339(1_009_843_200), "2002-01-01T00:00:00Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(i64::MAX), "an impossible date");
    }
}
