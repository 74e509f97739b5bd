//! The head that is passed on: the same as came in, less what belongs to the connection it came by, plus the credential.
//!
//! Fields are copied byte for byte, in their order and case. The credential is written last, after everything a caller
//! sent in its place was left out.

use httparse::Header;

use super::framing::Framing;
use super::location::Locations;
use super::parse_head::{BodyKind, RequestHead, ResponseHead};
use crate::credential::{Injection, Slot};
use crate::proto::fields::{HeaderClass, has_token};
use crate::proxy::span::Span;
use crate::upstream::Endpoint;

/// Writes the head of the upstream's request. `rest` is what of the path and query is the upstream's. Where the request is
/// recorded, it is below `span` from here on.
pub(crate) fn request(
    out: &mut Vec<u8>,
    head: &RequestHead<'_, '_>,
    rest: &str,
    upstream: &Endpoint,
    slot: &Slot,
    injection: &Injection<'_>,
    span: Option<&Span>,
) {
    put(out, &[head.method.as_bytes(), b" "]);
    target(out, rest, upstream, slot, injection);
    put(out, &[b" HTTP/1.1\r\nHost: ", upstream.authority.as_bytes(), b"\r\n"]);

    let dropped = ConnectionOptions { fields: head.fields, any: head.has_connection_options };
    for field in head.fields {
        match HeaderClass::of(field.name) {
            // Written anew below; and what belongs to a trace is of no use in another.
            HeaderClass::Traceparent if span.is_some() => {}
            HeaderClass::Tracestate if span.is_some_and(|span| span.context.parent.is_none()) => {}
            HeaderClass::EndToEnd
            | HeaderClass::Authorization
            | HeaderClass::Location
            | HeaderClass::Traceparent
            | HeaderClass::Tracestate
            | HeaderClass::Trailer => {
                if !slot.owns_header(field.name) && !dropped.contains(field.name) {
                    put_field(out, field);
                }
            }
            HeaderClass::ContentLength => put_field(out, field),
            HeaderClass::Cookie
                if matches!(slot, Slot::Header(_) | Slot::Proven) && !slot.owns_header(field.name) =>
            {
                put_field(out, field);
            }
            HeaderClass::Cookie
            | HeaderClass::Connection
            | HeaderClass::Host
            | HeaderClass::HopByHop
            | HeaderClass::SidekeyError
            | HeaderClass::Te => {}
            // Written anew below.
            HeaderClass::TransferEncoding | HeaderClass::Upgrade => {}
        }
    }
    if head.meta.body == BodyKind::Chunked {
        put(out, &[b"Transfer-Encoding: chunked\r\n"]);
    }
    match (head.meta.is_websocket, head.meta.wants_trailers) {
        (true, _) => put(out, &[b"Connection: upgrade\r\nUpgrade: websocket\r\n"]),
        (false, true) => put(out, &[b"TE: trailers\r\nConnection: TE\r\n"]),
        (false, false) => {}
    }
    if let Some(span) = span.filter(|_| !slot.owns_header("traceparent")) {
        put(out, &[b"traceparent: ", span.context.to_string().as_bytes(), b"\r\n"]);
    }
    match injection {
        Injection::Header(name, value) => {
            put(out, &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        }
        Injection::Proven { authorization, proof } => {
            put(
                out,
                &[b"authorization: ", authorization.as_bytes(), b"\r\ndpop: ", proof.as_bytes(), b"\r\n"],
            );
        }
        Injection::Cookie(own) => cookies(out, head.fields, slot, Some(own.as_bytes())),
        Injection::Query(_) => cookies(out, head.fields, slot, None),
    }
    put(out, &[b"\r\n"]);
}

/// Base path, then the caller's path and query without what stands in the slot, then the query credential.
fn target(out: &mut Vec<u8>, rest: &str, upstream: &Endpoint, slot: &Slot, injection: &Injection<'_>) {
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    put(out, &[upstream.base_path.as_bytes(), path.as_bytes()]);
    if upstream.base_path.is_empty() && path.is_empty() {
        put(out, &[b"/"]);
    }
    let query = query.map(|query| slot.strip_query(query));
    match (query, injection) {
        (None, Injection::Query(own)) => put(out, &[b"?", own.as_bytes()]),
        (Some(query), Injection::Query(own)) if query.is_empty() => put(out, &[b"?", own.as_bytes()]),
        (Some(query), Injection::Query(own)) => put(out, &[b"?", query.as_bytes(), b"&", own.as_bytes()]),
        (Some(query), _) => put(out, &[b"?", query.as_bytes()]),
        (None, _) => {}
    }
}

/// One `Cookie` field with the caller's cookies, less those in the slot, and the credential.
fn cookies(out: &mut Vec<u8>, fields: &[Header<'_>], slot: &Slot, own: Option<&[u8]>) {
    let mut separator: &[u8] = b"Cookie: ";
    for field in fields.iter().filter(|field| HeaderClass::of(field.name) == HeaderClass::Cookie) {
        let left = slot.strip_cookie(field.value);
        if !left.is_empty() {
            put(out, &[separator, &left]);
            separator = b"; ";
        }
    }
    if let Some(own) = own {
        put(out, &[separator, own]);
        separator = b"; ";
    }
    if separator == b"; " {
        put(out, &[b"\r\n"]);
    }
}

/// How a response is passed on to its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransferMode {
    /// As it is.
    Passthrough,
    /// Content without chunked coding, for an HTTP/1.0 caller; ends with the connection.
    Dechunk,
    /// A body that ends with the upstream's connection, in chunked coding, so that a broken one can be told from a whole.
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
    locations: Option<&Locations<'_>>,
) {
    status_line(out, head);
    let dropped = ConnectionOptions { fields: head.fields, any: head.has_connection_options };
    for field in head.fields {
        match HeaderClass::of(field.name) {
            HeaderClass::EndToEnd
            | HeaderClass::Authorization
            | HeaderClass::Cookie
            | HeaderClass::Traceparent
            | HeaderClass::Tracestate
                if !dropped.contains(field.name) =>
            {
                put_field(out, field);
            }
            HeaderClass::ContentLength | HeaderClass::Host => put_field(out, field),
            // Says which fields follow chunked content; without that coding none do.
            HeaderClass::Trailer if mode == TransferMode::Passthrough && !dropped.contains(field.name) => {
                put_field(out, field);
            }
            HeaderClass::Location if !dropped.contains(field.name) => {
                match locations.and_then(|locations| locations.rewrite(field.value)) {
                    Some(value) => put(out, &[field.name.as_bytes(), b": ", value.as_bytes(), b"\r\n"]),
                    None => put_field(out, field),
                }
            }
            _ => {}
        }
    }
    let is_chunked = matches!(head.framing, Framing::Chunked(_)) && mode == TransferMode::Passthrough;
    if is_chunked || mode == TransferMode::Chunk {
        put(out, &[b"Transfer-Encoding: chunked\r\n"]);
    }
    match (keep_alive, downstream_is_http10) {
        (false, _) => put(out, &[b"Connection: close\r\n"]),
        (true, true) => put(out, &[b"Connection: keep-alive\r\n"]),
        (true, false) => {}
    }
    put(out, &[b"\r\n"]);
}

/// Writes a 1xx head: an interim response, or the switch to WebSocket.
pub(crate) fn informational(out: &mut Vec<u8>, head: &ResponseHead<'_, '_>) {
    status_line(out, head);
    for field in head.fields {
        if matches!(
            HeaderClass::of(field.name),
            HeaderClass::EndToEnd
                | HeaderClass::Location
                | HeaderClass::Traceparent
                | HeaderClass::Tracestate
        ) {
            put_field(out, field);
        }
    }
    if head.status == 101 {
        put(out, &[b"Connection: upgrade\r\nUpgrade: websocket\r\n"]);
    }
    put(out, &[b"\r\n"]);
}

fn status_line(out: &mut Vec<u8>, head: &ResponseHead<'_, '_>) {
    let digits = [head.status / 100, head.status / 10 % 10, head.status % 10];
    let digits = digits.map(|digit| b"0123456789"[usize::from(digit)]);
    put(out, &[b"HTTP/1.1 ", &digits, b" ", head.reason, b"\r\n"]);
}

fn put_field(out: &mut Vec<u8>, field: &Header<'_>) {
    put(out, &[field.name.as_bytes(), b": ", field.value, b"\r\n"]);
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// The fields that `Connection` names as its own (RFC 9110 §7.6.1); in almost every message there are none.
struct ConnectionOptions<'h, 'b> {
    fields: &'h [Header<'b>],
    any: bool,
}

impl ConnectionOptions<'_, '_> {
    fn contains(&self, name: &str) -> bool {
        self.any
            && self.fields.iter().any(|field| {
                HeaderClass::of(field.name) == HeaderClass::Connection && has_token(field.value, name)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::wire::parse_head;
    use crate::proxy::wire::parse_head::HeaderBuffer;
    use http::{HeaderName, HeaderValue};

    fn upstream(base_path: &str) -> crate::upstream::Upstream {
        crate::upstream::tests::upstream("up.example.com:8443", base_path)
    }

    fn passed(request_head: &str, rest: &str, slot: &Slot, injection: &Injection<'_>) -> String {
        let mut header_buffer = HeaderBuffer::new();
        let head = parse_head::request(request_head.as_bytes(), &mut header_buffer)
            .map_err(|failure| failure.cause)
            .unwrap();
        let mut out = Vec::new();
        request(&mut out, &head, rest, upstream("/api").pick(), slot, injection, None);
        String::from_utf8(out).unwrap()
    }

    fn bearer() -> Injection<'static> {
        Injection::Header(&http::header::AUTHORIZATION, HeaderValue::from_static("Bearer t"))
    }

    #[test]
    fn passes_end_to_end_fields_in_order_and_case_and_drops_those_of_the_connection() {
        let head = "POST /crm/x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX-ONE: 1\r\nConnection: keep-alive, X-Two\r\nx-two: 2\r\n\
                    aUthorization: Basic evil\r\nKeep-Alive: 5\r\nProxy-Authorization: Basic proxy\r\nContent-Length: 3\r\n\
                    TE: trailers\r\nUpgrade: h2c\r\nCookie: a=1\r\nX-One: again\r\n\r\n";
        assert_eq!(
            passed(head, "/x", &Slot::AUTHORIZATION, &bearer()),
            "POST /api/x HTTP/1.1\r\nHost: up.example.com:8443\r\nX-ONE: 1\r\nContent-Length: 3\r\nCookie: a=1\r\n\
             X-One: again\r\nTE: trailers\r\nConnection: TE\r\nauthorization: Bearer t\r\n\r\n"
        );
    }

    #[test]
    fn a_caller_cannot_fill_or_empty_the_slot() {
        let name = HeaderName::from_static("x-api-key");
        let slot = Slot::Header(name.clone());
        let own = || Injection::Header(&name, HeaderValue::from_static("mine"));
        let head = "GET / HTTP/1.1\r\nHost: a\r\nX-API-KEY: evil\r\nx-api-key: evil\r\nAuthorization: kept\r\nConnection: x-api-key\r\n\r\n";
        let passed_on = passed(head, "", &slot, &own());
        assert_eq!(
            passed_on,
            "GET /api HTTP/1.1\r\nHost: up.example.com:8443\r\nAuthorization: kept\r\nx-api-key: mine\r\n\r\n"
        );
    }

    #[test]
    fn a_query_key_is_added_to_what_the_caller_asked() {
        let slot = Slot::Query("key".into());
        let own = HeaderValue::from_static("key=mine");
        let line = |rest: &str| {
            let head = "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n";
            let all = passed(head, rest, &slot, &Injection::Query(&own));
            assert!(all.contains("\r\nCookie: a=1; b=2\r\n"));
            all.lines().next().unwrap().to_owned()
        };
        assert_eq!(line(""), "GET /api?key=mine HTTP/1.1");
        assert_eq!(line("/x?"), "GET /api/x?key=mine HTTP/1.1");
        assert_eq!(line("/x?a=%20&b"), "GET /api/x?a=%20&b&key=mine HTTP/1.1");
        assert_eq!(line("/x?k%65y=evil&a"), "GET /api/x?a&key=mine HTTP/1.1");
        assert_eq!(line("/x?key=evil"), "GET /api/x?key=mine HTTP/1.1");
        assert_eq!(line("/x?a?b=1"), "GET /api/x?a?b=1&key=mine HTTP/1.1");
    }

    #[test]
    fn a_cookie_joins_the_callers() {
        let slot = Slot::Cookie("sid".into());
        let own = HeaderValue::from_static("sid=mine");
        let cookie = |fields: &str| {
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let all = passed(&head, "/", &slot, &Injection::Cookie(&own));
            all.lines().find_map(|line| line.strip_prefix("Cookie: ").map(str::to_owned)).unwrap()
        };
        assert_eq!(cookie(""), "sid=mine");
        assert_eq!(
            cookie("Cookie: a=1; sid=evil\r\nCookie: sid=evil\r\nCookie: b=2\r\n"),
            "a=1; b=2; sid=mine"
        );
    }

    fn answered(response_head: &str, old: bool) -> String {
        let mut header_buffer = HeaderBuffer::new();
        let head = parse_head::response(response_head.as_bytes(), &mut header_buffer, false)
            .map_err(|failure| failure.cause)
            .unwrap();
        let (how, keep_alive) = choose_transfer_mode(&head.framing, old, true);
        let mut out = Vec::new();
        response(&mut out, &head, how, keep_alive, old, None);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn responses_pass_with_their_reason_and_fields() {
        let head = "HTTP/1.1 299 So So\r\nX-A: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: x-b\r\nX-B: 2\r\n\
                    Sidekey-Error: forged\r\nKeep-Alive: timeout=5\r\nWWW-Authenticate: Bearer\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
        assert_eq!(
            answered(head, false),
            "HTTP/1.1 299 So So\r\nX-A: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nWWW-Authenticate: Bearer\r\nTrailer: X-Sum\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        let old = answered(head, true);
        assert!(old.ends_with("WWW-Authenticate: Bearer\r\nConnection: close\r\n\r\n"), "{old}");
        assert!(
            answered("HTTP/1.0 200 OK\r\n\r\n", false).ends_with("\r\nTransfer-Encoding: chunked\r\n\r\n")
        );
        assert!(
            answered("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true)
                .ends_with("\r\nConnection: keep-alive\r\n\r\n")
        );
    }
}
