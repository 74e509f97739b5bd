//! Header fields with values that may be secret.

use http::HeaderName;

use super::secret;
use super::secret::VALUE;
use super::table::{Format, Names};
use super::value::Value;
use crate::secret::Secret;

/// The format of a mapping of header fields.
pub const FIELDS: Format = Format::Names(&Names::of(VALUE));

/// Reads a mapping of header fields, whose values may be secret. `reserved`: fields that Sidekey sets itself.
pub fn fields(section: &Value<'_>, reserved: &[HeaderName]) -> Vec<(HeaderName, Secret)> {
    let read = |(name, value): &(&str, Value<'_>)| {
        if value.is_empty() {
            // The name is not shown: it may be part of a secret, cut at a comma.
            section.error("a header without a value; put a value that contains a comma in quotes");
            return None;
        }
        let report = |message| value.error(message);
        let name = self::name(name, reserved).map_err(report).ok()?;
        let secret = secret::any_value(value)?;
        self::value(&secret).map_err(report).ok()?;
        Some((name, secret))
    };
    section.entries().unwrap_or_default().iter().filter_map(read).collect()
}

/// Parses the name of a header field that Sidekey does not set itself.
pub fn name(name: &str, reserved: &[HeaderName]) -> Result<HeaderName, String> {
    let name = HeaderName::try_from(name).map_err(|_| "not a valid header name")?;
    if reserved.contains(&name) { Err("Sidekey sets this header itself".into()) } else { Ok(name) }
}

/// Checks the characters of a header field's value.
pub fn value(value: &Secret) -> Result<(), String> {
    match value.first_disallowed(|c| c == ' ' || c.is_ascii_graphic()) {
        Some(at) => Err(format!("the character at position {at} is not allowed in a header")),
        None => Ok(()),
    }
}
