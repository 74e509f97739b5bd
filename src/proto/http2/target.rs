//! The target of a request in the form that HTTP/2 requires.

use std::borrow::Cow;

/// Percent-encodes the characters that no URI has (RFC 3986 §2): HTTP/1.1 servers accept them, HTTP/2
/// libraries do not. A request is signed with its target in this form.
pub fn encode_target(target: &str) -> Cow<'_, str> {
    let is_invalid =
        |byte: u8| matches!(byte, b'<' | b'>' | b'`' | b'"' | b'{' | b'}' | b'|' | b'^' | b'\\' | 0x7f..);
    if !target.bytes().any(is_invalid) {
        return Cow::Borrowed(target);
    }
    let mut encoded = String::with_capacity(target.len() + 16);
    for byte in target.bytes() {
        if is_invalid(byte) {
            encoded.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                encoded.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        } else {
            encoded.push(char::from(byte));
        }
    }
    Cow::Owned(encoded)
}
