//! Reads durations: `500ms`, `30s`, `5m`, `1h`, `1h30m`.

use std::time::Duration;

use super::table::{Definition, Format};
use super::value::Value;

/// The format of a duration.
pub const DURATION: Format = Format::Defined(&Definition {
    name: "duration",
    description: "500ms, 30s, 5m, 1h or 1h30m",
    // At least one unit, each at most once, from large to small.
    format: Format::Pattern("^(?=.)([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"),
});

/// Longest duration: a longer one is likely a wrong unit.
const MAX_DURATION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Units with their milliseconds, from large to small: the order in which they may follow each other.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The end of an error message.
const ALLOWED: &str = "a duration is written `500ms`, `30s`, `5m`, `1h` or `1h30m`";

/// Reads a duration greater than zero.
pub fn positive(value: &Value<'_>) -> Option<Duration> {
    let duration = any(value)?;
    if duration.is_zero() {
        value.error("must be greater than zero");
        return None;
    }
    Some(duration)
}

/// Reads a duration that may be zero.
pub fn any(value: &Value<'_>) -> Option<Duration> {
    value.check_format("a duration", |format| format.is_defined_as("duration"));
    if value.is_number() {
        value.error(format!("a number without a unit; {ALLOWED}"));
        return None;
    }
    value.parse(parse)
}

/// Parses a duration.
pub fn parse(text: &str) -> Result<Duration, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("a number without a unit; {ALLOWED}"));
    }
    let milliseconds = milliseconds(text).ok_or_else(|| format!("not a duration; {ALLOWED}"))?;
    let duration = Duration::from_millis(milliseconds);
    if duration > MAX_DURATION { Err("longer than 30 days (720h)".into()) } else { Ok(duration) }
}

fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        // Each unit once, and only after a larger one.
        let (_, factor) = units.find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = after;
    }
    if text.is_empty() { None } else { Some(sum) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn duration_is_parsed_in_every_unit() {
        let milliseconds =
            |text: &str| parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).as_millis();
        assert_eq!(milliseconds("500ms"), 500);
        assert_eq!(milliseconds("30s"), 30_000);
        assert_eq!(milliseconds("5m"), 300_000);
        assert_eq!(milliseconds("1h30m"), 5_400_000);
        assert_eq!(milliseconds("1m5s20ms"), 65_020);
        assert_eq!(milliseconds("0s"), 0);
        assert_eq!(milliseconds("720h"), 2_592_000_000);
    }

    #[test]
    fn duration_rejects_other_text() {
        for text in [
            "",
            "s",
            "5",
            "5 s",
            "-5s",
            "1.5s",
            "5d",
            "30m1h",
            "5s5s",
            "721h",
            "99999999999999999999s",
            "5sec",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("18446744073709551615h").is_err());
    }
}
