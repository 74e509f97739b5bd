//! `previous`: the secret before a rotation.

use crate::config::reader::value::Value;
use crate::secret::Secret;

/// The previous secret, if it differs from the current one, which is the value of `key`.
pub fn previous_secret(
    previous: Option<(Option<Secret>, Value<'_>)>,
    current: Option<&Secret>,
    key: &str,
) -> Option<Secret> {
    let (previous, value) = previous?;
    if previous.is_some() && previous.as_ref() == current {
        // Not an error: a rotation may write the second of the two files first.
        value.warn(format!("the same value as `{key}`; it has no effect"));
        return None;
    }
    previous
}
