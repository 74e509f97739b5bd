//! Parses the heads of requests and responses.
//!
//! Every ambiguity in framing is rejected here (RFC 9112 §6.3, §11.2), so that Sidekey and an upstream cannot
//! disagree on the end of a message.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Duration;

use httparse::{Header, ParserConfig, Status};
use memchr::{memchr, memchr_iter};

use super::framing::{ChunkedDecoder, Framing};
use crate::config::{Authority, Host, port};
use crate::credential::Owned;
use crate::proto::fields::{HeaderClass, has_bare_line_feed, has_token, tokens};
use crate::proto::grpc;
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

/// The head of a request, borrowed from the bytes that it was parsed from.
pub(crate) struct RequestHead<'h, 'b> {
    pub(crate) method: &'b str,
    /// `Host`, or the authority of an absolute-form target.
    pub(crate) host: &'b str,
    /// Whether the target has the absolute form, which is for proxies.
    pub(crate) absolute: bool,
    /// Path and query.
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

/// The fields in which a browser describes the page that a request comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PageFields<'b> {
    /// `Sec-Fetch-Site` (Fetch Metadata, §2.3); empty if there are several.
    pub(crate) fetch_site: Option<&'b [u8]>,
    /// `Origin` (RFC 6454 §7); empty if there are several.
    pub(crate) origin: Option<&'b [u8]>,
}

impl<'b> PageFields<'b> {
    fn read(&mut self, field: &Header<'b>) {
        let place = match field.name.len() {
            6 if field.name.eq_ignore_ascii_case("origin") => &mut self.origin,
            14 if field.name.eq_ignore_ascii_case("sec-fetch-site") => &mut self.fetch_site,
            _ => return,
        };
        let is_first = place.is_none();
        *place = Some(if is_first { field.value.trim_ascii() } else { b"" });
    }
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
fn parsed<'h, 'b>(
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

/// The head of a `CONNECT`.
pub(crate) struct ConnectHead<'b> {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) page: PageFields<'b>,
}

/// Parses the head of a `CONNECT` with host and port (RFC 9112 §3.2.3). The host is canonical, so that
/// all spellings of it are equal.
pub(crate) fn connect(bytes: &[u8]) -> Result<ConnectHead<'_>, ProxyError> {
    let mut header_buffer = HeaderBuffer::new();
    let parsed = parsed(bytes, &mut header_buffer)?;
    let framing = FramingHeaders::of(parsed.headers)?;
    if framing.is_chunked || framing.length.is_some_and(|length| length > 0) {
        return Err(bad("CONNECT with a body"));
    }
    let target = parsed.path.unwrap_or_default();
    let authority = || {
        let (host, digits) = target.rsplit_once(':')?;
        let port = port(digits).filter(|port| *port > 0 && target.is_ascii())?;
        Some((Host::canonical(host)?, port))
    };
    let (host, port) = authority().ok_or_else(|| bad("the target of a CONNECT is not host:port"))?;
    let host_field = framing.host.map(|host| std::str::from_utf8(host).unwrap_or_default());
    if host_field.is_some_and(|host| !Authority::is_same(target, host)) {
        return Err(host_mismatch());
    }
    Ok(ConnectHead { host, port, page: framing.page })
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

/// The head of a response, borrowed from the bytes that it was parsed from.
pub(crate) struct ResponseHead<'h, 'b> {
    pub(crate) status: u16,
    /// The reason phrase as it was received, which may not be UTF-8.
    pub(crate) reason: &'b [u8],
    pub(crate) fields: &'h [Header<'b>],
    /// Whether `Connection` names other fields (connection options, RFC 9110 §7.6.1).
    pub(crate) has_connection_options: bool,
    pub(crate) framing: Framing,
    /// Whether the upstream keeps the connection open after this response.
    pub(crate) keep_alive: bool,
    /// How long the upstream keeps an idle connection open (`Keep-Alive: timeout=N`).
    pub(crate) keep_alive_for: Option<Duration>,
    /// Whether the response has `Upgrade: websocket`.
    pub(crate) is_websocket: bool,
    pub(crate) is_http10: bool,
    /// Whether the head has `grpc-status: 16` (UNAUTHENTICATED).
    pub(crate) is_grpc_unauthenticated: bool,
}

/// Parses the head of a response, of at most `max_fields` fields. `to_head` says whether the request was a
/// `HEAD`.
pub(crate) fn response<'h, 'b>(
    bytes: &'b [u8],
    header_buffer: &'h mut HeaderBuffer<'b>,
    to_head: bool,
    max_fields: usize,
) -> Result<ResponseHead<'h, 'b>, ProxyError> {
    let bad = |cause: String| {
        let cause = format!("the upstream's response is malformed: {cause}");
        ProxyError::new(ErrorReason::UpstreamProtocol, cause)
    };
    // The parser would skip empty lines before the status line.
    if !bytes.starts_with(b"HTTP/1.") {
        return Err(bad("it does not begin with HTTP/1".into()));
    }
    let mut parsed = httparse::Response::new(&mut []);
    let mut parser = ParserConfig::default();
    // A proxy removes whitespace between a field's name and its colon from a response, and rejects it in a
    // request (RFC 9112 §5.1). The parser leaves it out of the name, so that such a field frames as any other.
    parser.allow_spaces_after_header_name_in_responses(true);
    let HeaderBuffer { stack, heap } = header_buffer;
    let mut outcome = parser.parse_response_with_uninit_headers(&mut parsed, bytes, stack);
    if outcome == Err(httparse::Error::TooManyHeaders) && max_fields > MAX_FIELDS {
        let lines = memchr_iter(b'\n', bytes).count();
        heap.resize_with(lines.min(max_fields), MaybeUninit::uninit);
        parsed = httparse::Response::new(&mut []);
        outcome = parser.parse_response_with_uninit_headers(&mut parsed, bytes, heap);
    }
    match outcome {
        Ok(Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(bad("the head does not end where its lines end".into())),
        Err(httparse::Error::TooManyHeaders) => return Err(bad(too_many_fields(max_fields))),
        Err(error) => return Err(bad(error.to_string())),
    }
    if parsed.headers.len() > max_fields {
        return Err(bad(too_many_fields(max_fields)));
    }
    let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(bad("the head is not complete".into()));
    };
    if !(100..=999).contains(&status) {
        return Err(bad("its status is not a number of three digits".into()));
    }
    let fields: &'h [Header<'b>] = parsed.headers;
    let headers = FramingHeaders::of(fields).map_err(|failure| bad(failure.cause.into()))?;
    if headers.is_chunked && headers.length.is_some() {
        return Err(bad("both Content-Length and Transfer-Encoding".into()));
    }
    let framing = match status {
        _ if to_head => Framing::NONE,
        100..=199 | 204 | 304 => Framing::NONE,
        _ if headers.is_chunked => Framing::Chunked(ChunkedDecoder::new(None)),
        _ => headers.length.map_or(Framing::CloseDelimited, Framing::Length),
    };
    let is_persistent = (minor == 1 || headers.keep_alive) && !headers.close;
    Ok(ResponseHead {
        status,
        reason: reason(bytes),
        fields,
        has_connection_options: headers.has_connection_options,
        keep_alive: is_persistent && framing != Framing::CloseDelimited,
        framing,
        keep_alive_for: headers.keep_alive_for,
        is_websocket: headers.upgrade && headers.is_websocket,
        is_http10: minor == 0,
        is_grpc_unauthenticated: headers.is_grpc_unauthenticated,
    })
}

fn too_many_fields(max: usize) -> String {
    format!("its head has more than {max} fields (max_response_head.fields)")
}

/// Returns the reason phrase, which follows `HTTP/1.x 200` and a space in a head that was parsed. The parser returns
/// none that is not ASCII.
fn reason(head: &[u8]) -> &[u8] {
    let rest = head.get(12..).unwrap_or_default();
    let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let rest = &rest[..end.unwrap_or(rest.len())];
    rest.strip_prefix(b" ").unwrap_or(rest)
}

/// The header fields that decide the framing and the reuse of the connection.
#[derive(Default)]
struct FramingHeaders<'b> {
    host: Option<&'b [u8]>,
    destination: Option<&'b [u8]>,
    condition: Option<&'b [u8]>,
    page: PageFields<'b>,
    length: Option<u64>,
    is_chunked: bool,
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    has_connection_options: bool,
    is_websocket: bool,
    wants_trailers: bool,
    keep_alive_for: Option<Duration>,
    is_grpc: bool,
    is_grpc_unauthenticated: bool,
}

impl<'b> FramingHeaders<'b> {
    fn of(fields: &[Header<'b>]) -> Result<Self, ProxyError> {
        let mut headers = Self::default();
        for field in fields {
            let value = field.value;
            match HeaderClass::of(field.name) {
                HeaderClass::Host if headers.host.replace(value).is_some() => {
                    return Err(bad("more than one Host"));
                }
                HeaderClass::ContentLength => {
                    let length =
                        content_length(value).ok_or_else(|| bad("Content-Length is not a number"))?;
                    if headers.length.replace(length).is_some() {
                        return Err(bad("more than one Content-Length"));
                    }
                }
                HeaderClass::Destination if headers.destination.replace(value).is_some() => {
                    return Err(bad("more than one Destination"));
                }
                HeaderClass::If if headers.condition.replace(value).is_some() => {
                    return Err(bad("more than one If"));
                }
                HeaderClass::TransferEncoding => {
                    if headers.is_chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                        return Err(bad("Transfer-Encoding is not just chunked"));
                    }
                    headers.is_chunked = true;
                }
                HeaderClass::Connection => tokens(value).for_each(|token| headers.connection(token)),
                HeaderClass::Upgrade => {
                    headers.is_websocket |= value.trim_ascii().eq_ignore_ascii_case(b"websocket");
                }
                HeaderClass::HopByHop if field.name.len() == 10 => {
                    headers.keep_alive_for = keep_alive_for(value);
                }
                HeaderClass::EndToEnd if grpc::is_content_type(field) => headers.is_grpc = true,
                HeaderClass::EndToEnd if grpc::is_unauthenticated(field) => {
                    headers.is_grpc_unauthenticated = true;
                }
                HeaderClass::EndToEnd => headers.page.read(field),
                HeaderClass::Te => headers.wants_trailers |= has_token(value, "trailers"),
                _ => {}
            }
        }
        Ok(headers)
    }

    /// Records one token of `Connection`.
    fn connection(&mut self, token: &[u8]) {
        let is = |name: &str| token.eq_ignore_ascii_case(name.as_bytes());
        match token.len() {
            2 if is("te") => {}
            5 if is("close") => self.close = true,
            7 if is("upgrade") => self.upgrade = true,
            10 if is("keep-alive") => self.keep_alive = true,
            _ => self.has_connection_options = true,
        }
    }
}

/// Returns `timeout=N` of a `Keep-Alive` field (RFC 2068 §19.7.1.1; sent by Node, Apache and others).
fn keep_alive_for(value: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?;
    let seconds = text.split(',').find_map(|parameter| {
        let (name, number) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| number.trim().parse::<u32>().ok())?
    })?;
    Some(Duration::from_secs(seconds.into()))
}

/// Parses a `Content-Length`: digits only, without a sign, a list or a space within.
fn content_length(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value.trim_ascii()).ok()?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
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

    #[test]
    fn connect_target_is_host_and_port() {
        let parsed = |target: &str, fields: &str| {
            let head = format!("CONNECT {target} HTTP/1.1\r\n{fields}\r\n");
            connect(head.as_bytes())
                .map(|head| format!("{} {}", head.host, head.port))
                .map_err(|failure| failure.reason)
        };
        assert_eq!(parsed("API.example.com:443", ""), Ok("api.example.com 443".into()));
        assert_eq!(parsed("a:443", "Host: a\r\n"), Ok("a 443".into()));
        assert_eq!(parsed("[::1]:8443", "Host: [::1]:8443\r\n"), Ok("[::1] 8443".into()));
        assert_eq!(parsed("0x7f.1:80", ""), Ok("127.0.0.1 80".into()), "another spelling of an address");
        assert_eq!(
            parsed("[::FFFF:127.0.0.1]:80", ""),
            Ok("127.0.0.1 80".into()),
            "another spelling of an address"
        );
        assert_eq!(
            parsed("LocalHost.:0443", "Host: localhost\r\n"),
            Ok("localhost 443".into()),
            "a dot at the end"
        );
        assert_eq!(parsed("a:443", "Host: b:443\r\n"), Err(ErrorReason::Forbidden));
        for target in [
            "a",
            "a:",
            ":443",
            "a:0",
            "a:70000",
            "http://a:443",
            "/x",
            "*",
            "u@a:443",
            "a/b:443",
            "a b:443",
            "a:443/x",
            "a:+443",
            "a..:443",
            ".:443",
            "[fe80::1%25eth0]:443",
        ] {
            assert_eq!(parsed(target, ""), Err(ErrorReason::BadRequest), "{target}");
        }
        assert_eq!(parsed("a:443", "Content-Length: 5\r\n"), Err(ErrorReason::BadRequest));
        assert_eq!(parsed("a:443", "Transfer-Encoding: chunked\r\n"), Err(ErrorReason::BadRequest));
        assert_eq!(parsed("a:443", "Host: a\r\nHost: a\r\n"), Err(ErrorReason::BadRequest));
    }

    fn framing(head: &str, to_head: bool) -> Result<(Framing, bool), ErrorReason> {
        let mut header_buffer = HeaderBuffer::new();
        let parsed =
            response(head.as_bytes(), &mut header_buffer, to_head, 200).map_err(|failure| failure.reason)?;
        Ok((parsed.framing, parsed.keep_alive))
    }

    #[test]
    fn reason_ends_with_the_status_line() {
        for (line, expected) in [
            ("200 OK\r\n", "OK"),
            ("200  O K \r\n", " O K "),
            ("200 \r\n", ""),
            ("200\r\n", ""),
            ("200 OK\n", "OK"),
            ("200\n", ""),
        ] {
            let head = format!("HTTP/1.1 {line}Location: https://a/\r\n\r\n");
            let mut header_buffer = HeaderBuffer::new();
            let parsed = response(head.as_bytes(), &mut header_buffer, false, 200).unwrap();
            assert_eq!(parsed.reason, expected.as_bytes(), "{line:?}");
        }
    }

    #[test]
    fn response_framing_follows_status_and_fields() {
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(framing(length, false), Ok((Framing::Length(5), true)));
        assert_eq!(framing(length, true), Ok((Framing::NONE, true)));
        assert_eq!(framing("HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n", false), Ok((Framing::NONE, true)));
        assert_eq!(framing("HTTP/1.1 304 Not Modified\r\n\r\n", false), Ok((Framing::NONE, true)));
        assert_eq!(framing("HTTP/1.1 200 OK\r\n\r\n", false), Ok((Framing::CloseDelimited, false)));
        assert_eq!(
            framing("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false),
            Ok((Framing::Length(5), false))
        );
        for spaced in ["Content-Length : 5", "Content-Length\t :5"] {
            let head = format!("HTTP/1.1 200 OK\r\n{spaced}\r\nConnection : close\r\n\r\n");
            assert_eq!(framing(&head, false), Ok((Framing::Length(5), false)));
        }
        for bad in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length : 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length : 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\n Content-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTP/1.1 200 OK\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n\r\n",
        ] {
            assert_eq!(framing(bad, false), Err(ErrorReason::UpstreamProtocol), "{bad:?}");
        }
    }

    #[test]
    fn response_fields_are_limited_by_their_number() {
        let with = |fields| format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(fields));
        for (fields, max, is_accepted) in [
            (5, 5, true),
            (6, 5, false),
            (128, 128, true),
            (129, 128, false),
            (200, 200, true),
            (201, 200, false),
        ] {
            let head = with(fields);
            let mut header_buffer = HeaderBuffer::new();
            let parsed = response(head.as_bytes(), &mut header_buffer, false, max);
            assert_eq!(
                parsed.is_ok_and(|parsed| parsed.fields.len() == fields),
                is_accepted,
                "{fields} {max}"
            );
        }
    }

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
