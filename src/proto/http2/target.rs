//! The target of a request in the form that HTTP/2 requires.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// The characters that no URI has (RFC 3986 §2), beside those that are not ASCII. HTTP/1.1 servers accept them, HTTP/2 libraries do not.
const INVALID: &AsciiSet =
    &CONTROLS.add(b'<').add(b'>').add(b'`').add(b'"').add(b'{').add(b'}').add(b'|').add(b'^').add(b'\\');

/// Percent-encodes the characters that no URI has. A request is signed with its target in this form.
pub fn encode_target(target: &str) -> Cow<'_, str> {
    utf8_percent_encode(target, INVALID).into()
}
