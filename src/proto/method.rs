//! Methods that no service may get.

/// Whether the response to a method is the request as the server got it, the credential included: `TRACE` (RFC 9110 §9.3.8), and `TRACK`,
/// which is the same for older servers of Microsoft. Methods are case-sensitive (§9.1), but some servers ignore their case.
pub fn returns_request(method: &str) -> bool {
    ["TRACE", "TRACK"].iter().any(|name| method.eq_ignore_ascii_case(name))
}
