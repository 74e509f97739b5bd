//! Keys that do not expire, in whole.

use zeroize::Zeroizing;

use crate::config::reader::value::Value;
use crate::credential::aws::identity::StaticKeys;
use crate::secret::Secret;

/// The first characters of the id of a temporary key.
pub(super) const TEMPORARY: &str = "ASIA";

/// Whether a character may be in the id of an access key, which stands before a slash and a comma in `Authorization`.
pub(super) fn is_of_id(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '/' | ',' | '=')
}

/// A part of a key.
pub(super) fn is_of_key(c: char) -> bool {
    c.is_ascii_graphic()
}

/// A part of a key that is not written in the configuration.
pub(super) fn checked(
    value: &Value<'_>,
    text: &Zeroizing<String>,
    allowed: fn(char) -> bool,
    place: &str,
) -> Option<Secret> {
    match Secret::new(text.to_string()) {
        Err(error) => {
            value.error(format!("{place}: {error}"));
            None
        }
        Ok(secret) => match secret.first_disallowed(allowed) {
            None => Some(secret),
            Some(at) => {
                value
                    .error(format!("{place}: the character at position {at} is not allowed in a key of AWS"));
                None
            }
        },
    }
}

pub(super) fn complete(
    value: &Value<'_>,
    access_key_id: Secret,
    secret_access_key: Secret,
    session_token: Option<Secret>,
    missing: &str,
) -> Option<StaticKeys> {
    if session_token.is_none() && access_key_id.starts_with_ignore_case(TEMPORARY) {
        value.error(format!("the id is that of a temporary key, and {missing}"));
        return None;
    }
    Some(StaticKeys { access_key_id, secret_access_key, session_token })
}
