//! The head of a request.

use std::sync::Arc;

use httparse::{Header, Status};
use memchr::memchr;

use super::framing_headers::FramingHeaders;
use super::page_fields::PageFields;
use super::{HeaderBuffer, bad, host_mismatch};
use crate::config::Authority;
use crate::credential::Owned;
use crate::proto::fields::{has_bare_line_feed, has_token};
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::wire::framing::{ChunkedDecoder, Framing};

/// The head of a request, borrowed from the bytes that it was parsed from.
pub(crate) struct RequestHead<'h, 'b> {
    pub(crate) method: &'b str,
    /// `Host`, or the authority of an absolute-form target.
    pub(crate) host: &'b str,
    /// Whether the target has the absolute form, which is for proxies.
    pub(crate) absolute: bool,
    /// The path and the query of the target.
    pub(crate) path: &'b str,
    pub(crate) fields: &'h [Header<'b>],
    /// Whether `Connection` names other fields (connection options, RFC 9110 §7.6.1).
    pub(crate) has_connection_options: bool,
    /// The value of `Destination` (RFC 4918 §10.3).
    pub(crate) destination: Option<&'b [u8]>,
    /// The value of `If`.
    pub(crate) condition: Option<&'b [u8]>,
    pub(crate) page: PageFields<'b>,
    pub(crate) meta: RequestMeta,
}

/// The properties of a request that are kept after its head was consumed.
#[derive(Debug, Clone)]
pub(crate) struct RequestMeta {
    pub(crate) is_http10: bool,
    pub(crate) is_head: bool,
    /// Whether the method is idempotent (RFC 9110 §9.2.2): such a request may be retried after a lost
    /// connection.
    pub(crate) is_idempotent: bool,
    pub(crate) keep_alive: bool,
    /// Whether the request has `Upgrade: websocket` (RFC 6455). No other upgrade is passed on: its protocol
    /// could carry requests without the credential.
    pub(crate) is_websocket: bool,
    pub(crate) wants_trailers: bool,
    /// Whether the request is a gRPC call, of gRPC-Web as well.
    pub(crate) is_grpc: bool,
    pub(crate) body: BodyKind,
    /// Whether rules were matched against the head. That is found out after the head was parsed.
    pub(crate) has_rules: bool,
}

/// How a request's body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyKind {
    Length(u64),
    Chunked,
}

impl BodyKind {
    /// The length in bytes, if it is known.
    pub(crate) fn length(self) -> Option<u64> {
        match self {
            Self::Length(length) => Some(length),
            Self::Chunked => None,
        }
    }

    /// Returns the framing of the body. Trailer fields in `forbidden` are rejected.
    pub(crate) fn framing(self, forbidden: impl FnOnce() -> Arc<Owned>) -> Framing {
        match self {
            Self::Length(length) => Framing::Length(length),
            Self::Chunked => Framing::Chunked(ChunkedDecoder::new(Some(forbidden()))),
        }
    }
}

/// Splits the head of a request into its start line and its fields.
pub(super) fn parsed<'h, 'b>(
    bytes: &'b [u8],
    header_buffer: &'h mut HeaderBuffer<'b>,
) -> Result<httparse::Request<'h, 'b>, ProxyError> {
    if has_bare_line_feed(bytes) {
        return Err(bad("a line of the head ends in a bare line feed"));
    }
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(bytes, &mut header_buffer.stack) {
        Ok(Status::Complete(length)) if length == bytes.len() => Ok(parsed),
        Ok(_) => Err(bad("the head does not end where its lines end")),
        Err(httparse::Error::TooManyHeaders) => {
            Err(ProxyError::new(ErrorReason::TooLarge, "the head has more than 128 fields"))
        }
        Err(error) => Err(bad(error.to_string())),
    }
}

/// Parses the head of a request.
pub(crate) fn request<'h, 'b>(
    bytes: &'b [u8],
    header_buffer: &'h mut HeaderBuffer<'b>,
) -> Result<RequestHead<'h, 'b>, ProxyError> {
    let parsed = parsed(bytes, header_buffer)?;
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(bad("the head is not complete"));
    };
    let fields: &'h [Header<'b>] = parsed.headers;
    let framing = FramingHeaders::of(fields)?;
    let is_http10 = minor == 0;
    let host_field = match (framing.host, is_http10) {
        (Some(host), _) => authority(host).ok_or_else(|| bad("Host is not a host and a port"))?,
        (None, true) => "",
        (None, false) => return Err(bad("an HTTP/1.1 request has no Host")),
    };
    let (host, absolute, path) = target_parts(method, target, host_field)?;
    // The two must agree, so that every party selects the same service and credential.
    if absolute && framing.host.is_some() && !Authority::is_same(host, host_field) {
        return Err(host_mismatch());
    }
    let body = match (framing.length, framing.is_chunked) {
        (Some(_), true) => return Err(bad("both Content-Length and Transfer-Encoding")),
        (None, true) if is_http10 => return Err(bad("Transfer-Encoding in HTTP/1.0")),
        (None, true) => BodyKind::Chunked,
        (length, false) => BodyKind::Length(length.unwrap_or(0)),
    };
    let meta = RequestMeta {
        is_http10,
        is_head: method == "HEAD",
        is_idempotent: matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE"),
        keep_alive: (!is_http10 || framing.keep_alive) && !framing.close,
        is_websocket: framing.upgrade && framing.is_websocket && !is_http10 && method == "GET",
        wants_trailers: framing.wants_trailers,
        is_grpc: framing.is_grpc,
        body,
        has_rules: false,
    };
    Ok(RequestHead {
        method,
        host,
        absolute,
        path,
        fields,
        has_connection_options: framing.has_connection_options,
        destination: framing.destination,
        condition: framing.condition,
        page: framing.page,
        meta,
    })
}

/// Returns the value of `Host`, if it has no character that an authority without user information cannot have
/// (RFC 3986 §3.2, RFC 9112 §3.2).
fn authority(host: &[u8]) -> Option<&str> {
    const IS_ALLOWED: [bool; 256] = {
        let mut allowed = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            allowed[byte] = byte > 0x20 && byte != 0x7f;
            byte += 1;
        }
        let mut excluded: &[u8] = b"\"#/<>?@\\^`{|}";
        while let [first, rest @ ..] = excluded {
            allowed[*first as usize] = false;
            excluded = rest;
        }
        allowed
    };
    let is_authority = host.iter().all(|byte| IS_ALLOWED[usize::from(*byte)]);
    if is_authority { std::str::from_utf8(host).ok() } else { None }
}

/// Returns host, absolute form, and path of a request-target (RFC 9112 §3.2). The authority of an absolute
/// form replaces `host`.
fn target_parts<'b>(
    method: &str,
    target: &'b str,
    host: &'b str,
) -> Result<(&'b str, bool, &'b str), ProxyError> {
    // What stands after `#` is never sent to a server. A credential that is added there would be lost.
    if memchr(b'#', target.as_bytes()).is_some() {
        return Err(bad("the target has a fragment"));
    }
    if method == "CONNECT" {
        return Err(bad("CONNECT with another method's target"));
    }
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok((host, false, target));
    }
    let scheme_end = target.find("://").ok_or_else(|| bad("the target is neither a path nor a URL"))?;
    if !["http", "https"].iter().any(|scheme| target[..scheme_end].eq_ignore_ascii_case(scheme)) {
        return Err(bad("the target is a URL of another scheme"));
    }
    let (authority, path) = Authority::split(&target[scheme_end + 3..]);
    if authority.is_empty() || authority.contains('@') {
        return Err(bad("the target's authority is empty or has user information"));
    }
    Ok((authority, true, path))
}

/// Hands the fields of a request's head to a function.
pub(crate) fn with_fields<R>(bytes: &[u8], with: impl FnOnce(&[Header<'_>]) -> R) -> Result<R, ProxyError> {
    let mut header_buffer = HeaderBuffer::new();
    Ok(with(parsed(bytes, &mut header_buffer)?.headers))
}

/// Whether the head of a request has `Expect: 100-continue` (RFC 9110 §10.1.1).
pub(crate) fn expects_continue(bytes: &[u8]) -> bool {
    let mut header_buffer = HeaderBuffer::new();
    let is_expect = |field: &Header<'_>| {
        field.name.eq_ignore_ascii_case("expect") && has_token(field.value, "100-continue")
    };
    request(bytes, &mut header_buffer).is_ok_and(|head| head.fields.iter().any(is_expect))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(head: &str) -> Result<RequestMeta, ErrorReason> {
        let mut header_buffer = HeaderBuffer::new();
        request(head.as_bytes(), &mut header_buffer).map(|head| head.meta).map_err(|failure| failure.reason)
    }

    fn with(fields: &str) -> Result<RequestMeta, ErrorReason> {
        meta(&format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
    }

    #[test]
    fn head_with_ambiguous_framing_is_rejected() {
        for fields in [
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding:\r\n",
            "Transfer-Encoding : chunked\r\n",
            "X : a\r\n",
            "X\t: a\r\n",
            "X: a\r\n Content-Length: 5\r\n",
            "Host: b\r\n",
            "Bad Name: x\r\n",
            "X: a\0b\r\n",
        ] {
            assert_eq!(with(fields).unwrap_err(), ErrorReason::BadRequest, "{fields:?}");
        }
        assert!(meta("POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(meta("GET /x HTTP/1.1\r\n\r\n").is_err());
        for host in ["u@a", "u:p@a", "a b", "a/b", "a?b", "a#b", "a, b", "<a>", "a\\b"] {
            assert!(meta(&format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n")).is_err(), "{host}");
        }
        for host in ["", "a", "a:1", "[::1]:80", "a_b.c-d", "xn--b.example", "b\u{fc}cher.example", "a."] {
            assert!(meta(&format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n")).is_ok(), "{host}");
        }
        assert!(meta("GET /x HTTP/2.0\r\nHost: a\r\n\r\n").is_err());
        assert!(meta("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n").is_err());
        assert_eq!(with(&"X: y\r\n".repeat(200)).unwrap_err(), ErrorReason::TooLarge);
    }

    #[test]
    fn framing_and_connection_fields_are_read() {
        assert_eq!(with("Content-Length: 5\r\n").unwrap().body, BodyKind::Length(5));
        assert_eq!(with("Transfer-Encoding: Chunked\r\n").unwrap().body, BodyKind::Chunked);
        assert_eq!(with("").unwrap().body, BodyKind::Length(0));
        assert!(with("").unwrap().keep_alive);
        assert!(!with("Connection: Close\r\n").unwrap().keep_alive);
        let http10 = |fields: &str| meta(&format!("GET /x HTTP/1.0\r\n{fields}\r\n")).unwrap().keep_alive;
        assert!(!http10(""));
        assert!(http10("Connection: keep-alive\r\n"));
        let websocket =
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n";
        assert!(meta(websocket).unwrap().is_websocket);
        assert!(!meta(&websocket.replace("WebSocket", "h2c")).unwrap().is_websocket);
    }

    #[test]
    fn request_target_is_split_into_host_and_path() {
        let parts = |target| target_parts("GET", target, "h:1").map_err(|failure| failure.reason);
        assert_eq!(parts("/a?b"), Ok(("h:1", false, "/a?b")));
        assert_eq!(parts("*"), Err(ErrorReason::BadRequest));
        assert_eq!(
            target_parts("OPTIONS", "*", "h:1").map_err(|failure| failure.reason),
            Ok(("h:1", false, "*"))
        );
        assert_eq!(parts("http://x:8080/a?b"), Ok(("x:8080", true, "/a?b")));
        assert_eq!(parts("HTTPS://x"), Ok(("x", true, "")));
        assert_eq!(parts("http://x?q"), Ok(("x", true, "?q")));
        for target in
            ["http://", "http:///a", "http://u:p@x/", "ftp://x/", "x:443", "a/b", "/a#b", "http://x/#b"]
        {
            assert_eq!(parts(target), Err(ErrorReason::BadRequest), "{target}");
        }
    }
}
