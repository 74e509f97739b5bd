//! Parses the heads of requests and responses.
//!
//! Every ambiguity in framing is rejected here (RFC 9112 §6.3, §11.2), so that Sidekey and an upstream cannot
//! disagree on the end of a message.

mod connect;
mod framing_headers;
mod page_fields;
mod request;
mod response;

use std::mem::MaybeUninit;

use httparse::Header;
use memchr::memchr;

pub(crate) use self::connect::{ConnectHead, connect};
pub(crate) use self::page_fields::PageFields;
pub(crate) use self::request::{BodyKind, RequestHead, RequestMeta, expects_continue, request, with_fields};
pub(crate) use self::response::{ResponseHead, response};
use crate::proxy::error::{ErrorReason, ProxyError};

/// The limit on the length of a head, in bytes.
pub(crate) const MAX_HEAD: usize = 64 * 1024;
/// The limit on the fields of a request's head.
const MAX_FIELDS: usize = 128;

/// A buffer for the parsed fields of one head: on the stack, unless a response has a great many.
pub(crate) struct HeaderBuffer<'b> {
    stack: [MaybeUninit<Header<'b>>; MAX_FIELDS],
    heap: Vec<MaybeUninit<Header<'b>>>,
}

impl HeaderBuffer<'_> {
    pub(crate) const fn new() -> Self {
        Self { stack: [const { MaybeUninit::uninit() }; MAX_FIELDS], heap: Vec::new() }
    }
}

/// Returns the length of the head at the front of `bytes`, including its empty line. `from` is the number of
/// bytes that were searched before.
///
/// Lines may end in a bare line feed (RFC 9112 §2.2), so that the end is found where the most lenient parser
/// finds it. Such a head is rejected later, when it is parsed.
pub(crate) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut from = from.saturating_sub(2);
    loop {
        let line = from + memchr(b'\n', &bytes[from..])? + 1;
        match bytes[line..] {
            [b'\n', ..] => return Some(line + 1),
            [b'\r', b'\n', ..] => return Some(line + 2),
            _ => from = line,
        }
    }
}

fn host_mismatch() -> ProxyError {
    ProxyError::new(ErrorReason::Forbidden, "Host and the target name different servers")
}

fn bad(cause: impl Into<String>) -> ProxyError {
    ProxyError::new(ErrorReason::BadRequest, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn head_end_is_found_across_reads() {
        for (head, length) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody"[..], 27),
            (b"GET / HTTP/1.1\nHost: a\n\nbody", 24),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\nbody\r\n\r\n", 26),
            (b"GET / HTTP/1.1\nHost: a\n\r\nbody", 25),
        ] {
            assert_eq!(end(head, 0), Some(length));
            for cut in 0..length {
                assert_eq!(end(&head[..cut], 0), None);
                assert_eq!(end(head, cut), Some(length));
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(bytes: Vec<u8>, text in "[A-Z]{1,4} /[a-z?#%]{0,9} HTTP/1.[01]\r\n([A-Za-z-]{1,9}: ?[ -~]{0,9}\r\n){0,5}\r\n") {
            for bytes in [&bytes[..], text.as_bytes()] {
                let _ = request(bytes, &mut HeaderBuffer::new());
                let _ = response(bytes, &mut HeaderBuffer::new(), false, 1000);
            }
        }
    }
}
