//! The time of a signature.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike as _, Timelike as _};

/// A time as AWS writes it: `20150830T123600Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timestamp(String);

impl Timestamp {
    /// The time of this machine's clock, corrected by this many seconds.
    pub(super) fn now(correction: i64) -> Self {
        Self::at(unix_seconds(SystemTime::now()).saturating_add(correction))
    }

    /// A time in seconds since 1970.
    pub(super) fn at(seconds: i64) -> Self {
        let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        // By hand, because every request has one: chrono would parse its format each time.
        let (date, clock) = (time.date_naive(), time.time());
        Self(format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            date.year(),
            date.month(),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second()
        ))
    }

    /// The time.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The date: `20150830`.
    pub(super) fn date(&self) -> &str {
        &self.0[..8]
    }
}

/// A time of the wall clock in seconds since 1970.
pub(super) fn unix_seconds(time: SystemTime) -> i64 {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamp_has_the_basic_format_of_iso_8601() {
        let time = Timestamp::at(1_440_938_160);
        assert_eq!((time.as_str(), time.date()), ("20150830T123600Z", "20150830"));
        assert_eq!(Timestamp::at(0).as_str(), "19700101T000000Z");
        assert_eq!(Timestamp::at(i64::MAX).as_str(), "19700101T000000Z");
    }
}
