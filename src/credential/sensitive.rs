//! Header values that are made of secrets.

use http::HeaderValue;

/// A value built from secrets, which are free of control characters by their type. Its `Debug` output shows nothing.
pub(super) fn sensitive(value: &str) -> HeaderValue {
    let mut value = HeaderValue::from_bytes(value.as_bytes()).expect("a secret has no control characters");
    value.set_sensitive(true);
    value
}
