//! Translates the HTTP/1.1 head of a response, as the data plane has written it, to a field block.

use std::io;
use std::mem::MaybeUninit;

use httparse::Header;
use memchr::memmem;

use super::coding::{Coding, malformed};
use super::fields::{is_in_http2, is_sensitive};
use super::hpack::encoder::{put_field, put_status};
use crate::proto::fields::HeaderClass;

/// Number of fields that are parsed on the stack.
const MAX_FIELDS_ON_STACK: usize = 96;

/// What the request was, as far as its response depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ResponseContext {
    /// Whether the request was a `HEAD`.
    pub(crate) is_head: bool,
    /// Whether it was a gRPC call: errors of Sidekey get a status of gRPC.
    pub(crate) is_grpc: bool,
    /// Whether the stream is to become a WebSocket.
    pub(crate) is_websocket: bool,
}

/// A response head that was translated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    /// The number of bytes of the HTTP/1.1 head, and of the empty body behind it, if there is one.
    pub(crate) length: usize,
    /// The coding of the bytes behind it.
    pub(crate) coding: Coding,
    /// Whether another head follows (RFC 9110 §15.2).
    pub(crate) is_interim: bool,
    /// Whether the response is complete, and the bytes behind it are not sent: the body is empty, or the response is an error for
    /// a gRPC client ("Trailers-Only").
    pub(crate) is_complete: bool,
}

impl ResponseHead {
    /// Whether the stream ends with the head.
    pub(crate) fn is_end(&self) -> bool {
        !self.is_interim && (self.is_complete || self.coding.is_done())
    }
}

/// Appends the field block of the response whose head is at the front of `bytes`. `block` has nothing of it before.
pub(crate) fn encode_response(
    bytes: &[u8],
    context: ResponseContext,
    block: &mut Vec<u8>,
) -> io::Result<ResponseHead> {
    let length = memmem::find(bytes, b"\r\n\r\n").ok_or_else(|| malformed("a head in pieces"))? + 4;
    let head = &bytes[..length];
    let mut header_buffer = [const { MaybeUninit::uninit() }; MAX_FIELDS_ON_STACK];
    let mut large_header_buffer = Vec::new();
    let mut parsed = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let mut outcome = parser.parse_response_with_uninit_headers(&mut parsed, head, &mut header_buffer);
    if outcome == Err(httparse::Error::TooManyHeaders) {
        large_header_buffer.resize(memchr::memchr_iter(b'\n', head).count(), MaybeUninit::uninit());
        parsed = httparse::Response::new(&mut []);
        outcome = parser.parse_response_with_uninit_headers(&mut parsed, head, &mut large_header_buffer);
    }
    match outcome {
        Ok(httparse::Status::Complete(read)) if read == length => {}
        _ => return Err(malformed("not a head")),
    }
    let status =
        parsed.code.filter(|code| (100..=999).contains(code)).ok_or_else(|| malformed("no status"))?;
    if context.is_grpc
        && let Some(error) = find(parsed.headers, HeaderClass::SidekeyError)
    {
        put_grpc_error(block, error.value, parsed.headers);
        return Ok(ResponseHead { length, coding: Coding::NONE, is_interim: false, is_complete: true });
    }
    let is_open = context.is_websocket && status == 101;
    // A WebSocket is open with 200 (RFC 8441 §5), and has no key to which an accept field could belong.
    put_status(block, Digits::of(if is_open { 200 } else { status }).as_str());
    let mut coding = Coding::NONE;
    for field in parsed.headers.iter() {
        let class = HeaderClass::of(field.name);
        coding.read_field(class, field.value)?;
        if !(is_open && field.name.eq_ignore_ascii_case("sec-websocket-accept")) {
            put(block, class, field);
        }
    }
    if is_open {
        coding = Coding::Raw;
    } else if context.is_head || matches!(status, 100..=199 | 204 | 304) {
        coding = Coding::NONE;
    }
    let is_empty_body = coding.is_chunked() && bytes[length..] == *b"0\r\n\r\n";
    Ok(ResponseHead {
        length: if is_empty_body { bytes.len() } else { length },
        coding,
        is_interim: status < 200 && !is_open,
        is_complete: is_empty_body,
    })
}

/// Writes a field of this class, if it exists in HTTP/2.
fn put(block: &mut Vec<u8>, class: HeaderClass, field: &Header<'_>) {
    if is_in_http2(class) {
        put_field(block, field.name.as_bytes(), field.value, is_sensitive(class));
    }
}

/// Writes the fields of a trailer section.
pub(crate) fn put_trailers(block: &mut Vec<u8>, fields: &[Header<'_>]) {
    for field in fields {
        put(block, HeaderClass::of(field.name), field);
    }
}

fn find<'h, 'b>(fields: &'h [Header<'b>], class: HeaderClass) -> Option<&'h Header<'b>> {
    fields.iter().find(|field| HeaderClass::of(field.name) == class)
}

/// Writes an error of Sidekey as a gRPC status in the head, because many clients do not show the body of an HTTP error.
/// `reason` is that of `Sidekey-Error`, which the response of an upstream does not have.
fn put_grpc_error(block: &mut Vec<u8>, reason: &[u8], fields: &[Header<'_>]) {
    put_status(block, "200");
    for field in fields {
        let class = HeaderClass::of(field.name);
        let is_replaced =
            class == HeaderClass::ContentLength || field.name.eq_ignore_ascii_case("content-type");
        if !is_replaced {
            put(block, class, field);
        }
    }
    put_field(block, b"content-type", b"application/grpc", false);
    put_field(block, b"grpc-status", grpc_status(reason), false);
    put_field(block, b"grpc-message", &[b"sidekey: ", reason].concat(), false);
}

/// The gRPC status code for a reason.
fn grpc_status(reason: &[u8]) -> &'static [u8] {
    match reason {
        b"unknown_service" => b"12",      // UNIMPLEMENTED
        b"forbidden" | b"denied" => b"7", // PERMISSION_DENIED
        b"unauthenticated" => b"16",      // UNAUTHENTICATED
        b"bad_request" => b"13",          // INTERNAL
        b"upstream_timeout" => b"4",      // DEADLINE_EXCEEDED: the call may have been processed
        b"too_large" => b"8",             // RESOURCE_EXHAUSTED
        _ => b"14",                       // UNAVAILABLE, as for a lost connection in gRPC
    }
}

/// The three digits of a status.
struct Digits([u8; 3]);

impl Digits {
    fn of(status: u16) -> Self {
        Self([status / 100, status / 10 % 10, status % 10].map(|digit| b'0' + digit.to_le_bytes()[0]))
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::hpack::Decoder;
    use super::*;

    const GRPC: ResponseContext = ResponseContext { is_head: false, is_grpc: true, is_websocket: false };

    fn encode(bytes: &[u8], context: ResponseContext) -> io::Result<(Vec<String>, ResponseHead)> {
        let mut block = Vec::new();
        let head = encode_response(bytes, context, &mut block)?;
        let mut fields = Vec::new();
        let sink = |name: &[u8], value: &[u8]| {
            fields.push(format!("{}: {}", name.escape_ascii(), value.escape_ascii()));
        };
        Decoder::new(0, usize::MAX).decode(&block, sink).unwrap();
        Ok((fields, head))
    }

    #[test]
    fn fields_of_the_connection_are_dropped() {
        let bytes = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-empty:\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\
                      Connection: close\r\nKeep-Alive: 5\r\nTransfer-Encoding: chunked\r\n\r\nrest";
        let (fields, head) = encode(bytes, ResponseContext::default()).unwrap();
        assert_eq!(fields, [":status: 200", "x-a: 1", "x-empty: ", "set-cookie: a", "set-cookie: b"]);
        let length = bytes.len() - 4;
        assert_eq!(
            head,
            ResponseHead { length, coding: Coding::chunked(), is_interim: false, is_complete: false }
        );
    }

    #[test]
    fn body_follows_as_status_and_method_say() {
        let coding = |head: &[u8], context| encode(head, context).unwrap().1.coding;
        let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(coding(sized, ResponseContext::default()), Coding::Length(3));
        assert_eq!(
            coding(sized, ResponseContext { is_head: true, ..ResponseContext::default() }),
            Coding::NONE
        );
        assert_eq!(
            coding(b"HTTP/1.1 304 x\r\nContent-Length: 3\r\n\r\n", ResponseContext::default()),
            Coding::NONE
        );
        let (fields, head) =
            encode(b"HTTP/1.1 103 x\r\nLink: a\r\n\r\n", ResponseContext::default()).unwrap();
        assert!(head.is_interim && fields == [":status: 103", "link: a"]);
    }

    #[test]
    fn websocket_is_open_with_200() {
        let bytes =
            b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: a\r\n\
                      Sec-WebSocket-Protocol: p\r\n\r\n";
        let context = ResponseContext { is_websocket: true, ..ResponseContext::default() };
        let (fields, head) = encode(bytes, context).unwrap();
        assert_eq!(fields, [":status: 200", "sec-websocket-protocol: p"]);
        assert!(head.coding == Coding::Raw && !head.is_interim);
    }

    #[test]
    fn error_becomes_a_status_of_grpc() {
        let bytes = b"HTTP/1.1 503 x\r\nSidekey-Error: credential_unavailable\r\nRetry-After: 5\r\n\
                      Content-Type: application/problem+json\r\nContent-Length: 99\r\n\r\n";
        let (fields, head) = encode(bytes, GRPC).unwrap();
        assert!(head.is_complete);
        assert_eq!(
            fields,
            [
                ":status: 200",
                "sidekey-error: credential_unavailable",
                "retry-after: 5",
                "content-type: application/grpc",
                "grpc-status: 14",
                "grpc-message: sidekey: credential_unavailable"
            ]
        );
        assert_eq!(encode(b"HTTP/1.1 503 x\r\n\r\n", GRPC).unwrap().0, [":status: 503"], "of the upstream");
        assert_eq!(encode(bytes, ResponseContext::default()).unwrap().0[0], ":status: 503", "no gRPC");
    }

    #[test]
    fn many_fields_are_read() {
        let fields = "x-many: 1\r\n".repeat(300);
        let bytes = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        assert_eq!(encode(bytes.as_bytes(), ResponseContext::default()).unwrap().0.len(), 301);
    }

    #[test]
    fn what_is_no_head_is_an_error() {
        for bytes in
            [&b"HTTP/1.1 200 OK\r\nX: 1\r\n"[..], b"x\r\n\r\n", b"HTTP/1.1 099 x\r\n\r\n", b"\r\n\r\n"]
        {
            assert!(encode(bytes, ResponseContext::default()).is_err(), "{}", bytes.escape_ascii());
        }
    }
}
