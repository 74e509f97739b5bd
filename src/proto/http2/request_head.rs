//! Translates the field block of a caller's request to the bytes of an HTTP/1.1 head.
//!
//! What the two versions express in different ways is written in the way of HTTP/1.1. A contradiction (`:authority` and
//! `Host`, several lengths) is written unchanged, so that the HTTP/1.1 parser rejects it like any other. What makes a request
//! of HTTP/2 malformed (RFC 9113 §8.2, §8.3) is found here, and such a request has no head.

use std::io::Write as _;
use std::ops::Range;

use super::fields::{FIELD_OVERHEAD, Malformed, check_field, length, put};
use super::limits::MAX_HEAD;
use super::websocket;
use crate::proto::fields::{HeaderClass, is_tchar};

/// The capacity of each part of the scratch that is kept.
const KEPT_SCRATCH: usize = 1024;

/// What is known of a request whose head was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RequestHead {
    /// `content-length`.
    pub(crate) content_length: Option<u64>,
    /// Whether trailers are announced, which only chunked coding can carry.
    pub(crate) announces_trailers: bool,
    /// Whether the method is `HEAD`.
    pub(crate) is_head: bool,
    /// Whether the request is a gRPC call (not gRPC-Web).
    pub(crate) is_grpc: bool,
    /// Whether the stream is to become a WebSocket (RFC 8441).
    pub(crate) is_websocket: bool,
    /// Whether the head is larger than [`MAX_HEAD`]. What was written is not complete then.
    pub(crate) is_over_size: bool,
}

/// The memory that is used for one head after the other.
#[derive(Default)]
pub(crate) struct HeadScratch {
    /// The pseudo-header fields.
    pseudo: Vec<u8>,
    /// The parts of a split cookie.
    cookie: Vec<u8>,
}

impl HeadScratch {
    /// Frees what only a large head needed.
    pub(crate) fn trim(&mut self) {
        for scratch in [&mut self.pseudo, &mut self.cookie] {
            if scratch.capacity() > KEPT_SCRATCH {
                *scratch = Vec::new();
            }
        }
    }
}

/// Writes a head while its fields come.
pub(crate) struct RequestWriter<'a> {
    out: &'a mut Vec<u8>,
    scratch: &'a mut HeadScratch,
    method: Option<Range<usize>>,
    scheme: Option<Range<usize>>,
    authority: Option<Range<usize>>,
    path: Option<Range<usize>>,
    protocol: Option<Range<usize>>,
    /// Whether a field came that is no pseudo-header field. The request line is written then.
    has_begun: bool,
    has_host: bool,
    is_malformed: bool,
    /// The size of all fields.
    size: usize,
    head: RequestHead,
}

impl<'a> RequestWriter<'a> {
    /// Appends the head to `out`.
    pub(crate) fn new(out: &'a mut Vec<u8>, scratch: &'a mut HeadScratch) -> Self {
        scratch.pseudo.clear();
        scratch.cookie.clear();
        Self {
            out,
            scratch,
            method: None,
            scheme: None,
            authority: None,
            path: None,
            protocol: None,
            has_begun: false,
            has_host: false,
            is_malformed: false,
            size: 0,
            head: RequestHead::default(),
        }
    }

    /// Writes the next field of the block.
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) {
        self.size += name.len() + value.len() + FIELD_OVERHEAD;
        self.head.is_over_size |= self.size > MAX_HEAD as usize;
        if self.head.is_over_size || self.is_malformed {
            return;
        }
        let written =
            if name.first() == Some(&b':') { self.pseudo(name, value) } else { self.regular(name, value) };
        self.is_malformed = written.is_err();
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        let place = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            b":protocol" => &mut self.protocol,
            _ => return Err(Malformed),
        };
        if place.is_some() || self.has_begun {
            return Err(Malformed);
        }
        let start = self.scratch.pseudo.len();
        self.scratch.pseudo.extend_from_slice(value);
        *place = Some(start..self.scratch.pseudo.len());
        Ok(())
    }

    fn regular(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        if !self.has_begun {
            self.begin()?;
        }
        let (name, class) = check_field(name, value)?;
        match class {
            HeaderClass::Host => {
                if std::mem::replace(&mut self.has_host, true) {
                    return Err(Malformed);
                }
                let authority = self.authority.clone().map(|range| &self.scratch.pseudo[range]);
                if authority.is_some_and(|authority| authority.eq_ignore_ascii_case(value)) {
                    return Ok(());
                }
            }
            HeaderClass::ContentLength => {
                let length = length(value).ok_or(Malformed)?;
                if self.head.is_websocket && self.head.content_length.is_some() {
                    // The first one is not passed on, and so neither is a second one for the parser to reject.
                    return Err(Malformed);
                }
                // It is written at the end, where the coding of the body is known.
                if self.head.content_length.is_none() {
                    self.head.content_length = Some(length);
                    return Ok(());
                }
            }
            HeaderClass::Cookie => {
                let separator: &[u8] = if self.scratch.cookie.is_empty() { b"cookie: " } else { b"; " };
                put(&mut self.scratch.cookie, &[separator, value]);
                return Ok(());
            }
            HeaderClass::Trailer => self.head.announces_trailers = true,
            HeaderClass::EndToEnd if name == "content-type" => self.head.is_grpc = is_grpc(value),
            HeaderClass::EndToEnd if self.head.is_websocket && name == "sec-websocket-key" => return Ok(()),
            _ => {}
        }
        put(self.out, &[name.as_bytes(), b": ", value, b"\r\n"]);
        Ok(())
    }

    /// Checks the pseudo-header fields, and writes the request line and `host`.
    fn begin(&mut self) -> Result<(), Malformed> {
        self.has_begun = true;
        let pseudo = |range: &Option<Range<usize>>| range.clone().map(|range| &self.scratch.pseudo[range]);
        let method = pseudo(&self.method).ok_or(Malformed)?;
        let (scheme, authority) = (pseudo(&self.scheme), pseudo(&self.authority));
        let (path, protocol) = (pseudo(&self.path), pseudo(&self.protocol));
        if method.is_empty() || !method.iter().all(|byte| is_tchar(*byte)) {
            return Err(Malformed);
        }
        let is_connect = method == b"CONNECT";
        if authority.is_some_and(|authority| !is_authority(authority)) || protocol.is_some() && !is_connect {
            return Err(Malformed);
        }
        self.head.is_head = method == b"HEAD";
        self.head.is_websocket = protocol == Some(b"websocket");
        let target: &[u8] = if is_connect && protocol.is_none() {
            // RFC 9113 §8.5. A tunnel through a stream is not supported: it gets a target without a route.
            if scheme.is_some() || path.is_some() || authority.is_none() {
                return Err(Malformed);
            }
            b"*"
        } else {
            let (scheme, path) = (scheme.ok_or(Malformed)?, path.ok_or(Malformed)?);
            // Sidekey has no gateway to another scheme. Whatever an upstream would make of it, it is not what was asked for.
            let is_http = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
            if !is_http || !is_target(path, method) {
                return Err(Malformed);
            }
            if is_connect && !self.head.is_websocket { b"*" } else { path }
        };
        let method = if self.head.is_websocket { b"GET" } else { method };
        put(self.out, &[method, b" ", target, b" HTTP/1.1\r\n"]);
        if let Some(authority) = authority {
            put(self.out, &[b"host: ", authority, b"\r\n"]);
        }
        Ok(())
    }

    /// Ends the head. `has_body`: the stream continues after it.
    pub(crate) fn finish(mut self, has_body: bool) -> Result<RequestHead, Malformed> {
        if self.is_malformed {
            return Err(Malformed);
        }
        if self.head.is_over_size {
            return Ok(self.head);
        }
        if !self.has_begun {
            self.begin()?;
        }
        if !has_body && self.head.content_length.is_some_and(|length| length > 0) {
            return Err(Malformed);
        }
        if !self.scratch.cookie.is_empty() {
            put(self.out, &[&self.scratch.cookie, b"\r\n"]);
        }
        let is_chunked = has_body && (self.head.content_length.is_none() || self.head.announces_trailers);
        if self.head.is_websocket {
            websocket::write_upgrade_fields(self.out);
        } else if is_chunked {
            put(self.out, &[b"transfer-encoding: chunked\r\n"]);
        } else if let Some(length) = self.head.content_length {
            // Writing to a vector does not fail.
            let _ = write!(self.out, "content-length: {length}\r\n");
        } else if self.expects_length() {
            // RFC 9110 §8.6: some servers require a length for these methods.
            put(self.out, &[b"content-length: 0\r\n"]);
        }
        put(self.out, &[b"\r\n"]);
        Ok(self.head)
    }

    fn expects_length(&self) -> bool {
        let method = self.method.clone().map_or(&b""[..], |range| &self.scratch.pseudo[range]);
        matches!(method, b"POST" | b"PUT" | b"PATCH")
    }
}

/// Whether an authority has only characters that one may have (RFC 3986 §3.2), and no user.
fn is_authority(authority: &[u8]) -> bool {
    let is_allowed =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(byte) || *byte >= 0x80;
    !authority.is_empty() && authority.iter().all(is_allowed)
}

/// Whether a target is a path without a fragment. What else a path may have is decided by the HTTP/1.1 parser.
fn is_target(path: &[u8], method: &[u8]) -> bool {
    let is_path = path.first() == Some(&b'/') || path == b"*" && method == b"OPTIONS";
    is_path && path.iter().all(|byte| *byte > b' ' && *byte != 0x7f && *byte != b'#')
}

/// Whether a `content-type` is that of a gRPC call: `application/grpc`, `application/grpc+proto` and so on; not gRPC-Web.
fn is_grpc(value: &[u8]) -> bool {
    value.strip_prefix(b"application/grpc").is_some_and(|suffix| matches!(suffix, [] | [b'+' | b';', ..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fields<'a> = &'a [(&'a str, &'a str)];

    /// The head of a request with these fields.
    fn read(fields: &[Fields<'_>], has_body: bool) -> Result<(String, RequestHead), Malformed> {
        let (mut out, mut scratch) = (Vec::new(), HeadScratch::default());
        let mut writer = RequestWriter::new(&mut out, &mut scratch);
        for (name, value) in fields.iter().copied().flatten() {
            writer.field(name.as_bytes(), value.as_bytes());
        }
        let head = writer.finish(has_body)?;
        Ok((String::from_utf8_lossy(&out).into_owned(), head))
    }

    fn written(fields: &[Fields<'_>], has_body: bool) -> String {
        read(fields, has_body).unwrap().0
    }

    const GET: Fields<'static> =
        &[(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/crm/x?y=1")];
    const POST: Fields<'static> =
        &[(":method", "POST"), (":path", "/"), (":authority", "sidekey:8080"), (":scheme", "https")];

    #[test]
    fn request_is_translated_to_http1() {
        assert_eq!(written(&[GET], false), "GET /crm/x?y=1 HTTP/1.1\r\nhost: h\r\n\r\n");
        let more: Fields<'_> = &[("x-one", "1"), ("cookie", "a=1"), ("te", "trailers"), ("cookie", "b=2")];
        assert_eq!(
            written(&[POST, more], true),
            "POST / HTTP/1.1\r\nhost: sidekey:8080\r\nx-one: 1\r\nte: trailers\r\n\
             cookie: a=1; b=2\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let sized: Fields<'_> = &[("content-length", "5"), ("host", "SIDEKEY:8080")];
        assert_eq!(
            written(&[POST, sized], true),
            "POST / HTTP/1.1\r\nhost: sidekey:8080\r\ncontent-length: 5\r\n\r\n"
        );
        assert!(written(&[POST], false).ends_with("\r\ncontent-length: 0\r\n\r\n"));
        let announced = [POST, sized, &[("trailer", "x-sum")]];
        assert!(
            written(&announced, true).ends_with("\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n")
        );
        let options: Fields<'_> = &[(":method", "OPTIONS"), (":path", "*"), (":scheme", "HTTP")];
        assert_eq!(written(&[options, &[("host", "h")]], false), "OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n");
    }

    #[test]
    fn contradictions_are_left_to_the_parser() {
        assert_eq!(
            written(&[GET, &[("host", "other")]], false),
            "GET /crm/x?y=1 HTTP/1.1\r\nhost: h\r\nhost: other\r\n\r\n"
        );
        let lengths = [POST, &[("content-length", "5"), ("content-length", "6")]];
        assert!(written(&lengths, true).ends_with("\r\ncontent-length: 6\r\ncontent-length: 5\r\n\r\n"));
        let connect: Fields<'_> = &[(":method", "CONNECT"), (":authority", "h:443")];
        assert!(written(&[connect], true).starts_with("CONNECT * HTTP/1.1\r\nhost: h:443\r\n"));
    }

    #[test]
    fn websocket_becomes_an_upgrade() {
        let fields: Fields<'_> = &[
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":path", "/chat"),
            (":authority", "h"),
            ("sec-websocket-key", "x"),
            ("sec-websocket-version", "13"),
        ];
        let (bytes, head) = read(&[fields], true).unwrap();
        assert!(
            head.is_websocket
                && bytes.starts_with("GET /chat HTTP/1.1\r\nhost: h\r\nsec-websocket-version: 13\r\n")
        );
        assert!(websocket::expected_accept(bytes.as_bytes()).is_some() && !bytes.contains("chunked"));
        let other: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, if *value == "websocket" { "connect-udp" } else { value }))
            .collect();
        assert!(written(&[&other], true).starts_with("CONNECT * HTTP/1.1\r\n"));
    }

    #[test]
    fn properties_of_a_request_are_known() {
        fn head(fields: &[Fields<'_>], has_body: bool) -> RequestHead {
            read(fields, has_body).unwrap().1
        }
        assert_eq!(head(&[GET], false), RequestHead::default());
        let length = head(&[POST, &[("content-length", "5")]], true);
        assert_eq!(length, RequestHead { content_length: Some(5), ..RequestHead::default() });
        for (kind, is) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;x", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let fields: Fields<'_> = &[("content-type", kind)];
            assert_eq!(head(&[POST, fields], true).is_grpc, is, "{kind}");
        }
        let head_request: Fields<'_> = &[(":method", "HEAD"), (":path", "/"), (":scheme", "http")];
        assert!(head(&[head_request], false).is_head);
    }

    #[test]
    fn head_that_is_too_large_is_read_to_its_end() {
        let value = "x".repeat(4000);
        let field: Fields<'_> = &[("x", &value)];
        let (bytes, head) = read(&[&[GET], &[field; 17][..]].concat(), false).unwrap();
        assert!(head.is_over_size && bytes.len() < MAX_HEAD as usize);
        assert!(!read(&[&[GET], &[field; 15][..]].concat(), false).unwrap().1.is_over_size);
    }

    #[test]
    fn malformed_request_has_no_head() {
        let without = |name: &str| -> Vec<(&str, &str)> {
            GET.iter().copied().filter(|(field, _)| *field != name).collect()
        };
        let with = |name, value| -> Vec<(&str, &str)> { [&without(name)[..], &[(name, value)]].concat() };
        for fields in [
            without(":method"),
            without(":scheme"),
            without(":path"),
            with(":path", ""),
            with(":path", "x"),
            with(":path", "*"),
            with(":path", "/x#y"),
            with(":path", "/x y"),
            with(":path", "/x\r\ny: z"),
            with(":path", "http://a/"),
            with(":scheme", "ftp"),
            with(":scheme", ""),
            with(":authority", ""),
            with(":authority", "user@h"),
            with(":authority", "h/x"),
            with(":authority", "h\r\n"),
            with(":method", ""),
            with(":method", "G T"),
            with(":method", "CONNECT"),
            with(":protocol", "websocket"),
            with(":status", "200"),
            [GET, &[(":method", "GET")]].concat(),
            [GET, &[("x", "1"), (":path", "/")]].concat(),
            [GET, &[("X", "1")]].concat(),
            [GET, &[("", "1")]].concat(),
            [GET, &[("x y", "1")]].concat(),
            [GET, &[("x:", "1")]].concat(),
            [GET, &[("x", " 1")]].concat(),
            [GET, &[("x", "1\t")]].concat(),
            [GET, &[("x", "\0")]].concat(),
            [GET, &[("x", "\x7f")]].concat(),
            [GET, &[("host", "h"), ("host", "h")]].concat(),
            [GET, &[("te", "gzip")]].concat(),
            [GET, &[("connection", "close")]].concat(),
            [GET, &[("upgrade", "x")]].concat(),
            [GET, &[("keep-alive", "1")]].concat(),
            [GET, &[("proxy-connection", "close")]].concat(),
            [GET, &[("transfer-encoding", "chunked")]].concat(),
            [GET, &[("content-length", "1")]].concat(),
            [GET, &[("content-length", "+0")]].concat(),
            [GET, &[("content-length", "")]].concat(),
            [GET, &[("content-length", "99999999999999999999")]].concat(),
        ] {
            assert_eq!(read(&[&fields], false).err(), Some(Malformed), "{fields:?}");
        }
    }
}
