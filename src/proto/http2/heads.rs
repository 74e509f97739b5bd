//! Translates the heads of a stream to an upstream: the fields of HTTP/2 to the bytes of an HTTP/1.1 head, and back.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRAILER};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use memchr::memmem;

use super::coding::{Coding, malformed};
use crate::proto::fields::HeaderClass;

/// Number of fields that are parsed on the stack: those of a request that the data plane passes on, and some that
/// it writes itself.
const MAX_FIELDS: usize = 160;
/// Number of trailers that are parsed on the stack. gRPC has two or three.
const MAX_FEW_TRAILERS: usize = 8;

/// Writes the head of a response, and the end of its body if the stream ends with the head.
///
/// `has_body`: the stream continues after the head. `to_head`: the response is to a `HEAD` request.
pub fn write_response(out: &mut Vec<u8>, message: &Response<()>, has_body: bool, to_head: bool) {
    let status = message.status();
    let reason = status.canonical_reason().unwrap_or_default();
    put(out, &[b"HTTP/1.1 ", status.as_str().as_bytes(), b" ", reason.as_bytes(), b"\r\n"]);
    let bare = to_head || matches!(status.as_u16(), 100..=199 | 204 | 304);
    let length = if bare { None } else { length(message.headers()) };
    for (name, value) in message.headers() {
        match HeaderClass::of(name.as_str()) {
            HeaderClass::Connection | HeaderClass::TransferEncoding | HeaderClass::Upgrade => {}
            HeaderClass::ContentLength if !bare && length.is_none() => {}
            _ => put(out, &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]),
        }
    }
    if bare || length.is_some() {
        return put(out, &[b"\r\n"]);
    }
    put(out, &[b"transfer-encoding: chunked\r\n\r\n"]);
    if !has_body {
        put(out, &[b"0\r\n\r\n"]);
    }
}

/// The body length that these fields give; `None` if they announce trailers, which only chunked coding can
/// carry. The `h2` crate checks that a stream is as long as its length says.
pub fn length(fields: &HeaderMap) -> Option<u64> {
    if fields.contains_key(TRAILER) {
        return None;
    }
    let mut all = fields.get_all(CONTENT_LENGTH).iter();
    let first = all.next()?.to_str().ok()?.parse().ok()?;
    all.next().is_none().then_some(first)
}

/// A parsed HTTP/1.1 head: the message for a HEADERS frame, and the coding of the body that follows.
pub struct Head {
    /// The head without the fields of an HTTP/1.1 connection.
    pub message: Request<()>,
    /// The coding of the bytes that follow the head.
    pub coding: Coding,
    /// The number of bytes of the head.
    pub length: usize,
}

/// Reads the request head at the front of `bytes`, for a stream of a connection with this scheme.
///
/// The values of `sensitive` fields, of `Authorization` and of `Cookie` are never-indexed on the wire (RFC
/// 7541 §7.1.3). The `h2` crate (0.4) cannot mark `:path`, which may hold a credential in its query: it sends
/// it as a literal without indexing, so the path enters no table of this connection, but an intermediary may
/// index it on the next hop.
pub fn read_request(bytes: &[u8], scheme: &Scheme, sensitive: &[HeaderName]) -> io::Result<Head> {
    let length = memmem::find(bytes, b"\r\n\r\n").ok_or_else(|| malformed("a head in pieces"))? + 4;
    let mut header_buffer = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(&bytes[..length], &mut header_buffer) {
        Ok(httparse::Status::Complete(read)) if read == length => {}
        _ => return Err(malformed("not a head")),
    }
    let mut message = Request::new(());
    let method = parsed.method.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    *message.method_mut() = method.ok_or_else(|| malformed("no method"))?;
    let host = parsed.headers.iter().find(|field| HeaderClass::of(field.name) == HeaderClass::Host);
    let authority = host.and_then(|host| Authority::try_from(host.value).ok());
    let uri = Uri::builder()
        .scheme(scheme.clone())
        .authority(authority.ok_or_else(|| malformed("no authority"))?)
        .path_and_query(encode_target(parsed.path.unwrap_or_default()).as_ref())
        .build();
    *message.uri_mut() = uri.map_err(|_| malformed("no target"))?;
    *message.version_mut() = Version::HTTP_2;
    let coding = fields(&bytes[..length], parsed.headers, message.headers_mut(), sensitive)?;
    Ok(Head { message, coding, length })
}

/// Percent-encodes the characters that no URI has (RFC 3986 §2): HTTP/1.1 servers accept them, HTTP/2
/// libraries do not.
fn encode_target(target: &str) -> Cow<'_, str> {
    let is_invalid =
        |byte: u8| matches!(byte, b'<' | b'>' | b'`' | b'"' | b'{' | b'}' | b'|' | b'^' | b'\\' | 0x7f..);
    if !target.bytes().any(is_invalid) {
        return Cow::Borrowed(target);
    }
    let mut encoded = String::with_capacity(target.len() + 16);
    for byte in target.bytes() {
        if is_invalid(byte) {
            let _ = write!(encoded, "%{byte:02X}");
        } else {
            encoded.push(char::from(byte));
        }
    }
    Cow::Owned(encoded)
}

/// Fills `map` with the fields that exist in HTTP/2, and marks those with a credential. Their values share
/// one copy of the head.
fn fields(
    head: &[u8],
    parsed: &[httparse::Header<'_>],
    map: &mut HeaderMap,
    sensitive: &[HeaderName],
) -> io::Result<Coding> {
    let copy = Bytes::copy_from_slice(head);
    let mut coding = Coding::NONE;
    map.reserve(parsed.len());
    for field in parsed {
        let class = HeaderClass::of(field.name);
        coding.read_field(class, field.value)?;
        if !is_in_http2(class) {
            continue;
        }
        let name =
            HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| malformed("a field without name"))?;
        let value = HeaderValue::from_maybe_shared(copy.slice_ref(within(head, &copy, field.value)));
        let mut value = value.map_err(|_| malformed("a value that is none"))?;
        value.set_sensitive(is_sensitive(class) || sensitive.contains(&name));
        map.append(name, value);
    }
    Ok(coding)
}

/// Whether a field that the data plane has written exists in HTTP/2 (RFC 9113 §8.2.2).
pub(super) fn is_in_http2(class: HeaderClass) -> bool {
    !matches!(
        class,
        HeaderClass::Connection
            | HeaderClass::HopByHop
            | HeaderClass::Host
            | HeaderClass::TransferEncoding
            | HeaderClass::Upgrade
    )
}

/// Whether a field is never-indexed, whatever the credential is (RFC 7541 §7.1.3).
pub(super) fn is_sensitive(class: HeaderClass) -> bool {
    matches!(class, HeaderClass::Authorization | HeaderClass::Cookie)
}

/// The slice of `copy` at the position that `part` has in `head`.
fn within<'c>(head: &[u8], copy: &'c [u8], part: &[u8]) -> &'c [u8] {
    let at = part.as_ptr() as usize - head.as_ptr() as usize;
    if part.is_empty() { &copy[..0] } else { &copy[at..at + part.len()] }
}

/// Reads a trailer section, empty line included.
pub(super) fn read_trailers(section: &[u8]) -> io::Result<HeaderMap> {
    parse_trailers(section, |parsed| {
        let mut map = HeaderMap::new();
        fields(section, parsed, &mut map, &[])?;
        Ok(map)
    })
}

/// Gives the fields of a trailer section, empty line included, to `read`.
pub(crate) fn parse_trailers<T>(
    section: &[u8],
    read: impl FnOnce(&[httparse::Header<'_>]) -> io::Result<T>,
) -> io::Result<T> {
    let mut few = [httparse::EMPTY_HEADER; MAX_FEW_TRAILERS];
    let mut many;
    let lines = memchr::memchr_iter(b'\n', section).count();
    let header_buffer = if lines <= MAX_FEW_TRAILERS {
        &mut few[..]
    } else {
        many = vec![httparse::EMPTY_HEADER; lines];
        &mut many
    };
    match httparse::parse_headers(section, header_buffer) {
        Ok(httparse::Status::Complete((length, parsed))) if length == section.len() => read(parsed),
        _ => Err(malformed("not trailers")),
    }
}

/// Writes a trailer section, empty line included.
pub(crate) fn write_trailers(out: &mut Vec<u8>, trailers: &HeaderMap) {
    for (name, value) in trailers {
        put(out, &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
    }
    put(out, &[b"\r\n"]);
}

/// Appends the parts to `out`, one behind the other.
pub(super) fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_request_restores_target_and_fields() {
        let bytes =
            b"POST /a%20b/<x>?y=`1` HTTP/1.1\r\nHost: up.example.com:8443\r\nX-A: 1\r\nContent-Length: 3\r\n\
                      TE: trailers\r\nConnection: TE\r\nauthorization: Bearer t\r\n\r\nabc";
        let head = read_request(bytes, &Scheme::HTTPS, &[]).unwrap();
        assert_eq!((head.length, head.coding), (bytes.len() - 3, Coding::Length(3)));
        assert_eq!(head.message.uri(), "https://up.example.com:8443/a%20b/%3Cx%3E?y=%601%60");
        let names: Vec<_> = head.message.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-a", "content-length", "te", "authorization"]);
        assert!(read_request(b"GET / HTTP/1.1\r\nX: 1\r\n\r\n", &Scheme::HTTP, &[]).is_err());
    }

    #[test]
    fn read_request_marks_credentials_as_sensitive() {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: k\r\nDPoP: p\r\nX-Other: o\r\nCookie: c\r\n\
                      Authorization: t\r\n\r\n";
        let names = ["x-api-key", "dpop"].map(HeaderName::from_static);
        let head = read_request(bytes, &Scheme::HTTPS, &names).unwrap();
        let fields = head.message.headers().iter();
        let marked = fields.filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name.as_str());
        assert_eq!(marked.collect::<Vec<_>>(), ["x-api-key", "dpop", "cookie", "authorization"]);
    }

    #[test]
    fn write_response_translates_to_http1() {
        let written = |answer: http::response::Builder, has_body, to_head| {
            let mut out = Vec::new();
            write_response(&mut out, &answer.body(()).unwrap(), has_body, to_head);
            String::from_utf8(out).unwrap()
        };
        let sized = || Response::builder().header("content-length", "5");
        assert_eq!(written(sized(), true, false), "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
        assert_eq!(written(sized(), false, true), "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
        assert_eq!(written(Response::builder().status(204), false, false), "HTTP/1.1 204 No Content\r\n\r\n");
        let chunked = "HTTP/1.1 299 \r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(written(Response::builder().status(299), true, false), chunked);
        assert_eq!(written(Response::builder().status(299), false, false), format!("{chunked}0\r\n\r\n"));
        let announced = written(sized().header("trailer", "x-sum"), true, false);
        assert_eq!(announced, "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n");
    }
}
