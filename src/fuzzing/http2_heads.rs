//! The property of heads of HTTP/2 streams: written as a head of HTTP/1.1 they are one head with the same fields, or one
//! that is rejected.
//!
//! An input has a field in each line, pseudo-fields first: `:method: GET`. The line `:body` says that the stream
//! continues after the head.

use h2::ext::Protocol;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, request};

use super::plain_head::{PlainFraming, PlainHead, assert_is_one_head};
use crate::proto::http2::{heads, websocket};
use crate::proxy::fuzzing::{
    BodyKind, Framing, HeaderBuffer, MAX_RESPONSE_FIELDS, parse_request, parse_response,
};

/// Fields that both versions express in their own way.
const TRANSLATED: [&str; 7] =
    ["connection", "content-length", "cookie", "host", "sec-websocket-key", "transfer-encoding", "upgrade"];

/// Checks the property on the fields of a stream.
pub fn http2_heads(input: &[u8]) {
    let lines = Lines::read(input);
    if let Some(parts) = lines.request() {
        check_request(&parts, lines.has_body);
    }
    if let Some(response) = lines.response() {
        for to_head in [false, true] {
            check_response(&response, lines.has_body, to_head);
        }
    }
}

/// The lines of an input.
#[derive(Default)]
struct Lines<'a> {
    pseudo: Vec<(&'a [u8], &'a [u8])>,
    fields: HeaderMap,
    has_body: bool,
}

impl<'a> Lines<'a> {
    fn read(input: &'a [u8]) -> Self {
        let mut lines = Self::default();
        for line in input.split(|byte| *byte == b'\n') {
            if line == b":body" {
                lines.has_body = true;
                continue;
            }
            let Some(colon) = line.iter().skip(1).position(|byte| *byte == b':') else { continue };
            let (name, value) = (&line[..=colon], line[colon + 2..].trim_ascii());
            if name.starts_with(b":") {
                lines.pseudo.push((name, value));
            } else if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            {
                lines.fields.append(name, value);
            }
        }
        lines
    }

    fn pseudo(&self, name: &str) -> Option<&'a [u8]> {
        self.pseudo.iter().find(|(known, _)| *known == name.as_bytes()).map(|(_, value)| *value)
    }

    /// The request of a stream, as `h2` hands it on.
    fn request(&self) -> Option<request::Parts> {
        let method = Method::from_bytes(self.pseudo(":method")?).ok()?;
        let mut uri = Uri::default().into_parts();
        uri.path_and_query = match self.pseudo(":path") {
            Some(path) => Some(PathAndQuery::try_from(path).ok()?),
            // The extended CONNECT has a path (RFC 8441 §4).
            None if method == Method::CONNECT && self.pseudo(":protocol").is_none() => None,
            None => return None,
        };
        if let Some(authority) = self.pseudo(":authority") {
            uri.authority = Some(Authority::try_from(authority).ok()?);
            uri.scheme = uri.path_and_query.is_some().then_some(Scheme::HTTPS);
        }
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_parts(uri).ok()?;
        *request.headers_mut() = self.fields.clone();
        if let Some(protocol) = self.pseudo(":protocol") {
            request.extensions_mut().insert(Protocol::from(std::str::from_utf8(protocol).ok()?));
        }
        Some(request.into_parts().0)
    }

    fn response(&self) -> Option<Response<()>> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_bytes(self.pseudo(":status")?).ok()?;
        *response.headers_mut() = self.fields.clone();
        Some(response)
    }
}

fn check_request(parts: &request::Parts, has_body: bool) {
    let mut bytes = Vec::new();
    heads::write_request(&mut bytes, parts, has_body);
    assert_is_one_head(&bytes);
    let plain = PlainHead::read(&bytes);
    plain.assert_fields_are_clean();
    let mut header_buffer = HeaderBuffer::new();
    let Ok(head) = parse_request(&bytes, &mut header_buffer) else { return };
    let is_websocket = websocket::is_websocket(parts);
    assert_eq!(head.method, if is_websocket { "GET" } else { parts.method.as_str() });
    assert_eq!(Some(head.path), parts.uri.path_and_query().map(PathAndQuery::as_str), "another target");
    assert!(!head.absolute, "a target of another form");
    let authority = parts.uri.authority().map(Authority::as_str);
    // A host in Unicode is one spelling of a host (`Authority`); `to_str` returns ASCII only.
    let host_field = || parts.headers.get("host").and_then(|host| std::str::from_utf8(host.as_bytes()).ok());
    let host = authority.or_else(host_field);
    assert_eq!(host, Some(head.host), "another host");
    assert_eq!(head.meta.is_websocket, is_websocket, "another protocol");
    let stated = heads::length(&parts.headers);
    let body = match (plain.framing(), has_body) {
        (PlainFraming::Chunked, true) => BodyKind::Chunked,
        (PlainFraming::Chunked, false) => panic!("a body out of nowhere"),
        (_, true) if !is_websocket => BodyKind::Length(stated.expect("a body with a length or in chunks")),
        (PlainFraming::Length(length), _) => BodyKind::Length(length),
        (PlainFraming::Unstated, _) => BodyKind::Length(0),
    };
    assert_eq!(head.meta.body, body, "another body");
    assert_same_fields(&parts.headers, &plain);
    let crumbs: Vec<_> = parts.headers.get_all("cookie").iter().map(HeaderValue::as_bytes).collect();
    let cookie = (!crumbs.is_empty()).then(|| crumbs.join(&b"; "[..]).trim_ascii().to_vec());
    assert_eq!(plain.values("cookie"), cookie.iter().map(Vec::as_slice).collect::<Vec<_>>(), "other cookies");
}

fn check_response(response: &Response<()>, has_body: bool, to_head: bool) {
    let mut bytes = Vec::new();
    heads::write_response(&mut bytes, response, has_body, to_head);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("the end of the head") + 4;
    let (head, body) = bytes.split_at(end);
    assert_is_one_head(head);
    let plain = PlainHead::read(head);
    plain.assert_fields_are_clean();
    let mut header_buffer = HeaderBuffer::new();
    let Ok(parsed) = parse_response(head, &mut header_buffer, to_head, MAX_RESPONSE_FIELDS) else { return };
    assert_eq!(parsed.status, response.status().as_u16());
    assert_same_fields(response.headers(), &plain);
    match parsed.framing {
        Framing::Chunked(_) => assert_eq!(body, if has_body { &b""[..] } else { b"0\r\n\r\n" }),
        Framing::Length(length) => {
            assert!(body.is_empty());
            let is_bare = to_head || matches!(parsed.status, 100..=199 | 204 | 304);
            assert!(
                is_bare && length == 0 || heads::length(response.headers()) == Some(length),
                "another body"
            );
        }
        Framing::CloseDelimited => panic!("a body without end"),
    }
}

/// The fields are the same, but for those that the versions express in their own way. Fields of the same name keep their
/// order.
fn assert_same_fields(map: &HeaderMap, head: &PlainHead<'_>) {
    let is_same = |name: &[u8]| !TRANSLATED.iter().any(|known| name == known.as_bytes());
    let fields = map.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let expected: Vec<_> = fields.filter(|(name, _)| is_same(name)).collect();
    let found: Vec<_> = head.fields.iter().copied().filter(|(name, _)| is_same(name)).collect();
    assert_eq!(found, expected, "other fields");
}
