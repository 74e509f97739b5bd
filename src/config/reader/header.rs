//! Header fields with values that may be secret.

use http::HeaderName;

use super::secret;
use super::value::Value;
use crate::secret::Secret;

/// Reads a mapping of header fields, whose values may be secret. `reserved`: fields that Sidekey writes itself.
pub fn fields(section: &Value<'_>, reserved: &[HeaderName]) -> Vec<(HeaderName, Secret)> {
    let read = |(name, value): &(&str, Value<'_>)| {
        if value.is_empty() {
            // The name is not shown: it may be the tail of a secret that was cut at a comma.
            section.error("a header without a value; a comma in a value needs quotes");
            return None;
        }
        let told = |message| value.error(message);
        let name = self::name(name, reserved).map_err(told).ok()?;
        let secret = secret::any_value(value)?;
        self::value(&secret).map_err(told).ok()?;
        Some((name, secret))
    };
    section.entries().unwrap_or_default().iter().filter_map(read).collect()
}

/// Parses the name of a header field that Sidekey does not write itself.
pub fn name(name: &str, reserved: &[HeaderName]) -> Result<HeaderName, String> {
    let name = HeaderName::try_from(name).map_err(|_| "not a header name")?;
    if reserved.contains(&name) { Err("Sidekey writes this header itself".into()) } else { Ok(name) }
}

/// Checks the characters of a header field's value.
pub fn value(value: &Secret) -> Result<(), String> {
    match value.first_disallowed(|c| c == ' ' || c.is_ascii_graphic()) {
        Some(at) => Err(format!("the character at position {at} cannot stand in a header")),
        None => Ok(()),
    }
}
