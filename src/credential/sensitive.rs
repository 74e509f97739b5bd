//! Header values that contain secrets.

use http::HeaderValue;

/// Returns a sensitive value. Secrets have no control characters by their type. The value's `Debug` output
/// shows nothing.
pub(super) fn sensitive(value: &str) -> HeaderValue {
    let mut value = HeaderValue::from_bytes(value.as_bytes()).expect("a secret has no control characters");
    value.set_sensitive(true);
    value
}
