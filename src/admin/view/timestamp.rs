//! A point in time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// A point in time, written as RFC 3339 in UTC with milliseconds.
#[derive(ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub(super) struct Timestamp(pub(super) SystemTime);

impl Timestamp {
    /// A Unix time in seconds; `None` if it is before 1970 or too far away.
    pub(super) fn of_unix(seconds: f64) -> Option<Self> {
        let since = Duration::try_from_secs_f64(seconds).ok()?;
        UNIX_EPOCH.checked_add(since).map(Self)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = DateTime::<Utc>::from(self.0).to_rfc3339_opts(SecondsFormat::Millis, true);
        serializer.serialize_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamp_is_rfc_3339() {
        let shown = |time| serde_json::to_string(&Timestamp(time)).unwrap();
        assert_eq!(
            shown(UNIX_EPOCH + Duration::from_millis(1_709_210_096_789)),
            "\"2024-02-29T12:34:56.789Z\""
        );
    }
}
