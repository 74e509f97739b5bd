//! A point in time in one of the notations that token endpoints use.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// A point in time on the wall clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PointInTime {
    /// Seconds since 1970.
    pub(super) unix_seconds: f64,
    /// Whether the notation has a time zone; UTC is assumed if it has none.
    pub(super) has_zone: bool,
}

/// Notations with a time zone, apart from RFC 3339 and RFC 2822: ISO 8601 without colons, Azure, JavaScript.
const ZONED: [&str; 7] = [
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f %#z",
    "%Y%m%dT%H%M%S%.f%#z",
    "%Y-%m-%dT%H:%M%#z",
    "%m/%d/%Y %H:%M:%S %#z",
    "%m/%d/%Y %I:%M:%S %p %#z",
    "%a %b %d %Y %H:%M:%S GMT%z",
];
/// Notations without a time zone.
const LOCAL: [&str; 6] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y%m%dT%H%M%S",
    "%Y%m%d%H%M%S",
];

impl PointInTime {
    /// Reads RFC 3339, ISO 8601, an HTTP date (RFC 9110 §5.6.7), RFC 2822, and what programs print.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // JavaScript adds the name of the zone in parentheses.
        let text = text.split(" (").next().unwrap_or_default().trim();
        if let Ok(time) = httpdate::parse_http_date(text) {
            let unix = time.duration_since(std::time::UNIX_EPOCH).ok()?;
            return Some(Self { unix_seconds: unix.as_secs_f64(), has_zone: true });
        }
        let zoned = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text));
        if let Ok(time) = zoned {
            return Some(Self::of(time.to_utc().naive_utc(), true));
        }
        let named = ["UTC", "GMT", "Z", "z"].into_iter().find_map(|zone| text.strip_suffix(zone));
        let (text, is_utc) = (named.unwrap_or(text).trim_end(), named.is_some());
        if let Some(time) = ZONED.iter().find_map(|format| DateTime::parse_from_str(text, format).ok()) {
            return Some(Self::of(time.to_utc().naive_utc(), true));
        }
        let local = LOCAL.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
        // A date alone: its first moment.
        let date = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
        local.or_else(date).map(|time| Self::of(time, is_utc))
    }

    fn of(utc: NaiveDateTime, has_zone: bool) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "years of milliseconds have fewer than 53 bits")]
        let unix_seconds = utc.and_utc().timestamp_millis() as f64 / 1000.0;
        Self { unix_seconds, has_zone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-29T10:00:00Z
    const AT: f64 = 1_795_946_400.0;

    #[test]
    fn point_in_time_is_read_in_every_notation() {
        for text in [
            "2026-11-29T10:00:00Z",
            "2026-11-29t10:00:00z",
            "2026-11-29 10:00:00Z",
            "2026-11-29T10:00:00.000Z",
            "2026-11-29T10:00:00+00:00",
            "2026-11-29T11:00:00+01:00",
            "2026-11-29T11:00:00+0100",
            "2026-11-29T11:00:00+01",
            "2026-11-29T05:00:00.0000000-05:00",
            "2026-11-29T10:00Z",
            "20261129T100000Z",
            "2026-11-29 10:00:00 UTC",
            "2026-11-29 10:00:00 +0000 UTC",
            "2026-11-29 10:00:00.000000 +0000 UTC",
            "Sun, 29 Nov 2026 10:00:00 GMT",
            "Sun, 29 Nov 2026 10:00:00 +0000",
            "29 Nov 2026 10:00:00 +0000",
            "Sunday, 29-Nov-26 10:00:00 GMT",
            "Sun Nov 29 10:00:00 2026",
            "Sun Nov 29 2026 10:00:00 GMT+0000 (Coordinated Universal Time)",
            "11/29/2026 10:00:00 +00:00",
            "11/29/2026 10:00:00 AM +00:00",
            " 2026-11-29T10:00:00Z\n",
        ] {
            assert_eq!(
                PointInTime::parse(text),
                Some(PointInTime { unix_seconds: AT, has_zone: true }),
                "{text}"
            );
        }
        for text in [
            "2026-11-29T10:00:00",
            "2026-11-29 10:00:00",
            "2026-11-29 10:00:00.000",
            "2026-11-29T10:00",
            "20261129T100000",
            "20261129100000",
        ] {
            assert_eq!(
                PointInTime::parse(text),
                Some(PointInTime { unix_seconds: AT, has_zone: false }),
                "{text}"
            );
        }
        let midnight = PointInTime { unix_seconds: AT - 36_000.0, has_zone: false };
        assert_eq!(PointInTime::parse("2026-11-29"), Some(midnight));
        assert_eq!(PointInTime::parse("2026-11-29T10:00:00.25Z").map(|at| at.unix_seconds), Some(AT + 0.25));
    }

    #[test]
    fn point_in_time_in_other_words_is_none() {
        for text in
            ["", "soon", "in one hour", "3600", "2026-13-01T00:00:00Z", "29.11.2026", "10:00:00", "2026"]
        {
            assert_eq!(PointInTime::parse(text), None, "{text}");
        }
    }
}
