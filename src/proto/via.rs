//! `Via` (RFC 9110 §7.6.3): the value that Sidekey adds to a message that it forwards.

/// The value for a message that was received by this version of HTTP. The name is a pseudonym, so that no address
/// becomes known.
pub fn value(is_http10: bool, is_http2: bool) -> &'static str {
    match (is_http10, is_http2) {
        (_, true) => "2 sidekey",
        (true, false) => "1.0 sidekey",
        (false, false) => "1.1 sidekey",
    }
}
