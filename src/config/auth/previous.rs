//! `previous`: the secret before a rotation.

use crate::config::reader::value::Value;
use crate::secret::Secret;

/// The secret before `current`, the value of `key`, where there is one.
pub fn previous_secret(
    previous: Option<(Option<Secret>, Value<'_>)>,
    current: Option<&Secret>,
    key: &str,
) -> Option<Secret> {
    let (previous, value) = previous?;
    if previous.is_some() && previous.as_ref() == current {
        // Not a mistake: whoever writes both files may write the second one first.
        value.warn(format!("the same as `{key}`, and so of no use"));
        return None;
    }
    previous
}
