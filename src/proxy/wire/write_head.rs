//! Writes the head of a response for the caller: the upstream's head without the fields that belong to its
//! connection. The other fields are copied byte for byte, in their order and case.

use httparse::Header;

use super::framing::Framing;
use super::parse_head::ResponseHead;
use super::response_urls::ResponseUrls;
use crate::proto::fields::{HeaderClass, has_token};

/// How the body of a response is passed to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransferMode {
    /// The body is passed on byte for byte.
    Passthrough,
    /// The chunked coding is removed for an HTTP/1.0 caller. The body ends with the connection.
    Dechunk,
    /// A body that ends with the upstream's connection gets chunked coding, so that the caller can detect an
    /// incomplete one.
    Chunk,
}

/// Decides how a response is passed on, and whether the caller's connection can be kept after it.
pub(crate) fn choose_transfer_mode(
    framing: &Framing,
    downstream_is_http10: bool,
    keep_alive: bool,
) -> (TransferMode, bool) {
    match (framing, downstream_is_http10) {
        (Framing::Chunked(_), true) => (TransferMode::Dechunk, false),
        (Framing::CloseDelimited, true) => (TransferMode::Passthrough, false),
        (Framing::CloseDelimited, false) => (TransferMode::Chunk, keep_alive),
        _ => (TransferMode::Passthrough, keep_alive),
    }
}

/// Writes the head of the caller's response.
pub(crate) fn response(
    out: &mut Vec<u8>,
    head: &ResponseHead<'_, '_>,
    mode: TransferMode,
    keep_alive: bool,
    downstream_is_http10: bool,
    urls: &ResponseUrls<'_>,
    via: Option<&str>,
) {
    status_line(out, head);
    let dropped = ConnectionOptions { fields: head.fields, has_any: head.has_connection_options };
    for field in head.fields {
        match HeaderClass::of(field.name) {
            HeaderClass::EndToEnd
            | HeaderClass::Authorization
            | HeaderClass::Cookie
            | HeaderClass::Destination
            | HeaderClass::If
            | HeaderClass::Traceparent
            | HeaderClass::Tracestate
                if !dropped.contains(field.name) =>
            {
                put_field(out, field);
            }
            HeaderClass::ContentLength | HeaderClass::Host => put_field(out, field),
            // Names the fields that follow chunked content. Without that coding there are none.
            HeaderClass::Trailer if mode == TransferMode::Passthrough && !dropped.contains(field.name) => {
                put_field(out, field);
            }
            class if class.has_url() && !dropped.contains(field.name) => {
                put_url_field(out, field, class, urls);
            }
            _ => {}
        }
    }
    let is_chunked = matches!(head.framing, Framing::Chunked(_)) && mode == TransferMode::Passthrough;
    if is_chunked || mode == TransferMode::Chunk {
        put(out, &[b"Transfer-Encoding: chunked\r\n"]);
    }
    put_via(out, via);
    match (keep_alive, downstream_is_http10) {
        (false, _) => put(out, &[b"Connection: close\r\n"]),
        (true, true) => put(out, &[b"Connection: keep-alive\r\n"]),
        (true, false) => {}
    }
    put(out, &[b"\r\n"]);
}

/// Writes a 1xx head: an interim response, or the switch to WebSocket.
pub(crate) fn informational(
    out: &mut Vec<u8>,
    head: &ResponseHead<'_, '_>,
    urls: &ResponseUrls<'_>,
    via: Option<&str>,
) {
    status_line(out, head);
    let dropped = ConnectionOptions { fields: head.fields, has_any: head.has_connection_options };
    for field in head.fields.iter().filter(|field| !dropped.contains(field.name)) {
        match HeaderClass::of(field.name) {
            HeaderClass::EndToEnd | HeaderClass::Traceparent | HeaderClass::Tracestate => {
                put_field(out, field);
            }
            class if class.has_url() => put_url_field(out, field, class, urls),
            _ => {}
        }
    }
    put_via(out, via);
    if head.status == 101 {
        put(out, &[b"Connection: upgrade\r\nUpgrade: websocket\r\n"]);
    }
    put(out, &[b"\r\n"]);
}

/// Writes the value that is added to `Via`, behind those that the response has.
fn put_via(out: &mut Vec<u8>, via: Option<&str>) {
    if let Some(via) = via {
        put(out, &[b"Via: ", via.as_bytes(), b"\r\n"]);
    }
}

fn status_line(out: &mut Vec<u8>, head: &ResponseHead<'_, '_>) {
    let digits = [head.status / 100, head.status / 10 % 10, head.status % 10];
    let digits = digits.map(|digit| b"0123456789"[usize::from(digit)]);
    put(out, &[b"HTTP/1.1 ", &digits, b" ", head.reason, b"\r\n"]);
}

/// Writes a field whose value has URLs.
fn put_url_field(out: &mut Vec<u8>, field: &Header<'_>, class: HeaderClass, urls: &ResponseUrls<'_>) {
    match urls.rewrite(class, field.value) {
        Some(value) => put(out, &[field.name.as_bytes(), b": ", value.as_bytes(), b"\r\n"]),
        None => put_field(out, field),
    }
}

fn put_field(out: &mut Vec<u8>, field: &Header<'_>) {
    put(out, &[field.name.as_bytes(), b": ", field.value, b"\r\n"]);
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// The connection options: the fields that `Connection` names (RFC 9110 §7.6.1). Almost every message has
/// none.
struct ConnectionOptions<'h, 'b> {
    fields: &'h [Header<'b>],
    has_any: bool,
}

impl ConnectionOptions<'_, '_> {
    fn contains(&self, name: &str) -> bool {
        self.has_any
            && self.fields.iter().any(|field| {
                HeaderClass::of(field.name) == HeaderClass::Connection && has_token(field.value, name)
            })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::credential::Owned;
    use crate::proxy::wire::parse_head;
    use crate::proxy::wire::parse_head::HeaderBuffer;
    use crate::proxy::wire::response_urls::CallerAuthority;

    fn written(response_head: &str, is_http10: bool) -> String {
        let mut header_buffer = HeaderBuffer::new();
        let head = parse_head::response(response_head.as_bytes(), &mut header_buffer, false, 100)
            .map_err(|failure| failure.cause)
            .unwrap();
        let (mode, keep_alive) = choose_transfer_mode(&head.framing, is_http10, true);
        let mut out = Vec::new();
        let owned = Owned::authorization();
        let caller_authority = CallerAuthority::default();
        let urls = ResponseUrls {
            locations: None,
            is_caller_tls: false,
            caller_authority: &caller_authority,
            owned: &owned,
            stripped: Cell::new(0),
        };
        response(&mut out, &head, mode, keep_alive, is_http10, &urls, None);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn response_head_keeps_reason_and_end_to_end_fields() {
        let head = "HTTP/1.1 299 So So\r\nX-A: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: x-b\r\nX-B: 2\r\n\
                    Sidekey-Error: forged\r\nKeep-Alive: timeout=5\r\nWWW-Authenticate: Bearer\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
        assert_eq!(
            written(head, false),
            "HTTP/1.1 299 So So\r\nX-A: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nWWW-Authenticate: Bearer\r\nTrailer: X-Sum\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        let http10 = written(head, true);
        assert!(http10.ends_with("WWW-Authenticate: Bearer\r\nConnection: close\r\n\r\n"), "{http10}");
        assert!(
            written("HTTP/1.0 200 OK\r\n\r\n", false).ends_with("\r\nTransfer-Encoding: chunked\r\n\r\n")
        );
        assert!(
            written("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true)
                .ends_with("\r\nConnection: keep-alive\r\n\r\n")
        );
    }
}
