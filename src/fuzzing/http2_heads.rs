//! The property of heads of HTTP/2 streams: a request is malformed, or it is one head of HTTP/1.1 with the same fields, or one that
//! is rejected. A response is one head of HTTP/1.1.
//!
//! An input has a field in each line, pseudo-fields first: `:method: GET`. The line `:body` says that the stream
//! continues after the head.

use super::plain_head::{PlainFraming, PlainHead, assert_is_one_head};
use crate::proto::http2::request_head::{HeadScratch, RequestHead, RequestWriter};
use crate::proto::http2::upstream_response::{ResponseWriter, UpstreamResponse};
use crate::proxy::fuzzing::{
    BodyKind, Framing, HeaderBuffer, MAX_RESPONSE_FIELDS, parse_request, parse_response,
};

/// The size of the largest head of a response.
const MAX_SIZE: usize = 64 * 1024;
/// Fields that both versions express in their own way.
const TRANSLATED: [&str; 7] =
    ["connection", "content-length", "cookie", "host", "sec-websocket-key", "transfer-encoding", "upgrade"];

/// Checks the property on the fields of a stream.
pub fn http2_heads(input: &[u8]) {
    let lines = Lines::read(input);
    check_request(&lines);
    for to_head in [false, true] {
        check_response(&lines, to_head);
    }
}

/// The lines of an input.
#[derive(Default)]
struct Lines<'a> {
    pseudo: Vec<(&'a [u8], &'a [u8])>,
    fields: Vec<(&'a [u8], &'a [u8])>,
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
            } else {
                lines.fields.push((name, value));
            }
        }
        lines
    }

    fn pseudo(&self, name: &str) -> Option<&'a [u8]> {
        self.pseudo.iter().find(|(known, _)| *known == name.as_bytes()).map(|(_, value)| *value)
    }

    fn values(&self, name: &str) -> Vec<&'a [u8]> {
        let own = self.fields.iter().filter(|(known, _)| *known == name.as_bytes());
        own.map(|(_, value)| *value).collect()
    }
}

fn check_request(lines: &Lines<'_>) {
    let (mut bytes, mut scratch) = (Vec::new(), HeadScratch::default());
    let mut writer = RequestWriter::new(&mut bytes, &mut scratch);
    for (name, value) in lines.pseudo.iter().chain(&lines.fields) {
        writer.field(name, value);
    }
    let Ok(known) = writer.finish(lines.has_body) else { return };
    if known.is_over_size {
        return;
    }
    assert_is_one_head(&bytes);
    let plain = PlainHead::read(&bytes);
    plain.assert_fields_are_clean();
    let mut header_buffer = HeaderBuffer::new();
    let Ok(head) = parse_request(&bytes, &mut header_buffer) else { return };
    let RequestHead { content_length, announces_trailers, is_websocket, is_head, .. } = known;
    let method = lines.pseudo(":method").expect("a method");
    assert_eq!(head.method.as_bytes(), if is_websocket { b"GET" } else { method });
    assert_eq!(Some(head.path.as_bytes()), lines.pseudo(":path"), "another target");
    assert!(!head.absolute, "a target of another form");
    let host = lines.pseudo(":authority").or_else(|| lines.values("host").first().copied());
    assert_eq!(host, Some(head.host.as_bytes()), "another host");
    assert_eq!((head.meta.is_websocket, head.meta.is_head), (is_websocket, is_head), "another request");
    let body = match (plain.framing(), lines.has_body) {
        (PlainFraming::Chunked, true) => BodyKind::Chunked,
        (PlainFraming::Chunked, false) => panic!("a body out of nowhere"),
        (_, true) if !is_websocket => {
            assert!(!announces_trailers, "trailers without chunks");
            BodyKind::Length(content_length.expect("a body with a length or in chunks"))
        }
        (PlainFraming::Length(length), _) => BodyKind::Length(length),
        (PlainFraming::Unstated, _) => BodyKind::Length(0),
    };
    assert_eq!(head.meta.body, body, "another body");
    assert_same_fields(lines.fields.iter().copied(), &plain);
    let crumbs = lines.values("cookie");
    let cookie = (!crumbs.is_empty()).then(|| crumbs.join(&b"; "[..]).trim_ascii().to_vec());
    assert_eq!(plain.values("cookie"), cookie.iter().map(Vec::as_slice).collect::<Vec<_>>(), "other cookies");
}

fn check_response(lines: &Lines<'_>, to_head: bool) {
    let mut bytes = Vec::new();
    let mut writer = ResponseWriter::new(&mut bytes, MAX_SIZE);
    for (name, value) in lines.pseudo.iter().chain(&lines.fields) {
        writer.field(name, value);
    }
    let Ok(known) = writer.finish(!lines.has_body, to_head) else { return };
    if known.is_over_size {
        return;
    }
    let UpstreamResponse { status, content_length, is_chunked, .. } = known;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("the end of the head") + 4;
    let (head, body) = bytes.split_at(end);
    assert_is_one_head(head);
    let plain = PlainHead::read(head);
    plain.assert_fields_are_clean();
    assert_same_fields(lines.fields.iter().copied(), &plain);
    let mut header_buffer = HeaderBuffer::new();
    let Ok(parsed) = parse_response(head, &mut header_buffer, to_head, MAX_RESPONSE_FIELDS) else { return };
    assert_eq!(lines.pseudo(":status"), Some(parsed.status.to_string().as_bytes()));
    assert_eq!(parsed.status, status);
    match parsed.framing {
        Framing::Chunked(_) => {
            assert!(is_chunked);
            assert_eq!(body, if lines.has_body { &b""[..] } else { b"0\r\n\r\n" });
        }
        Framing::Length(length) => {
            assert!(body.is_empty() && !is_chunked);
            assert_eq!(content_length, Some(length), "another body");
        }
        Framing::CloseDelimited => panic!("a body without end"),
    }
}

/// The fields are the same, but for those that the versions express in their own way. Fields of the same name keep their
/// order.
fn assert_same_fields<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>, head: &PlainHead<'_>) {
    let is_same = |name: &[u8]| !TRANSLATED.iter().any(|known| name == known.as_bytes());
    let expected: Vec<_> = fields.filter(|(name, _)| is_same(name)).collect();
    let found: Vec<_> = head.fields.iter().copied().filter(|(name, _)| is_same(name)).collect();
    assert_eq!(found, expected, "other fields");
}
