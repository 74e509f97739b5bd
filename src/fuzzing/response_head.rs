//! The property of response heads: a head that is accepted means the same to every reader, and so does what is sent to the
//! caller for it, in HTTP/1.1 and in HTTP/2.

use super::plain_head::{PlainFraming, PlainHead, assert_is_one_head};
use super::response_urls::parameters;
use crate::credential::Owned;
use crate::proto::http2::hpack::Decoder;
use crate::proto::http2::response_head::{ResponseContext, encode_response};
use crate::proxy::fuzzing::{
    CallerAuthority, Framing, HeaderBuffer, MAX_HEAD, MAX_RESPONSE_FIELDS, TransferMode,
    choose_transfer_mode, end_of_head, parse_response, write_informational, write_response,
};
use crate::runtime::route::MatchKind;

/// Number of fields that can be parsed again after the fields of the connection were added.
const MAX_FIELDS: usize = 120;

/// Fields that are not passed on, or not as they came.
const NOT_FORWARDED: [&str; 18] = [
    "azure-asyncoperation",
    "connection",
    "content-location",
    "keep-alive",
    "link",
    "location",
    "operation-location",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "refresh",
    "sidekey-error",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-goog-upload-control-url",
    "x-goog-upload-url",
];

/// Checks the property on what an upstream sends.
pub fn response_head(input: &[u8]) {
    let Some(length) = end_of_head(input, 0).filter(|length| *length <= MAX_HEAD) else { return };
    let bytes = &input[..length];
    for to_head in [false, true] {
        let mut header_buffer = HeaderBuffer::new();
        let Ok(head) = parse_response(bytes, &mut header_buffer, to_head, MAX_RESPONSE_FIELDS) else {
            continue;
        };
        let upstream = PlainHead::read_of_upstream(bytes);
        upstream.assert_fields_are_clean();
        assert_eq!(std::str::from_utf8(&upstream.start[9..12]).ok(), Some(&*head.status.to_string()));
        let fields = head.fields.iter().map(|field| (field.name.as_bytes(), field.value.trim_ascii()));
        assert!(fields.eq(upstream.fields.iter().copied()), "another reader finds other fields");
        let framing = match (upstream.framing(), head.status) {
            (_, 100..=199 | 204 | 304) => Framing::NONE,
            _ if to_head => Framing::NONE,
            (PlainFraming::Length(length), _) => Framing::Length(length),
            (PlainFraming::Unstated, _) => Framing::CloseDelimited,
            (PlainFraming::Chunked, _) => {
                assert!(matches!(head.framing, Framing::Chunked(_)), "another reader finds another body");
                head.framing.clone()
            }
        };
        assert_eq!(head.framing, framing, "another reader finds another body");
        if head.fields.len() > MAX_FIELDS {
            continue;
        }
        let (owned, caller_authority) =
            (Owned::default().with_query("key"), CallerAuthority::of("127.0.0.1:8080"));
        let urls = parameters(&owned, &caller_authority, MatchKind::PathPrefix);
        if (100..200).contains(&head.status) {
            let mut sent = Vec::new();
            write_informational(&mut sent, &head, &urls, None);
            assert_passed_on(&upstream, &sent, to_head);
            continue;
        }
        for is_http10 in [false, true] {
            let (mode, keep_alive) = choose_transfer_mode(&head.framing, is_http10, head.keep_alive);
            let mut sent = Vec::new();
            write_response(&mut sent, &head, mode, keep_alive, is_http10, &urls, None);
            let (found, stays_open) = assert_passed_on(&upstream, &sent, to_head);
            match mode {
                TransferMode::Passthrough => assert_eq!(found, head.framing, "the caller finds another body"),
                TransferMode::Dechunk => assert_eq!(found, Framing::CloseDelimited),
                TransferMode::Chunk => assert!(matches!(found, Framing::Chunked(_))),
            }
            assert_eq!(stays_open, keep_alive, "the caller finds another end of the connection");
        }
    }
}

/// Asserts that the head is the upstream's, less the fields of its connection. Returns what it says of the body and of the
/// connection.
fn assert_passed_on(upstream: &PlainHead<'_>, sent: &[u8], to_head: bool) -> (Framing, bool) {
    assert_is_one_head(sent);
    let caller = PlainHead::read(sent);
    caller.assert_fields_are_clean();
    assert_eq!(
        caller.start[8..].trim_ascii_end(),
        upstream.start[8..].trim_ascii_end(),
        "another status or reason"
    );
    assert!(
        !caller.has("sidekey-error") && !caller.has("keep-alive"),
        "a field of the connection is passed on"
    );
    let is_as_it_came =
        |name: &[u8]| !NOT_FORWARDED.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes()));
    let mut came = upstream.fields.iter();
    for field in caller.fields.iter().filter(|(name, _)| is_as_it_came(name)) {
        assert!(came.any(|came| came == field), "a field that did not come, or not in this order");
    }
    let mut header_buffer = HeaderBuffer::new();
    let parsed = parse_response(sent, &mut header_buffer, to_head, MAX_RESPONSE_FIELDS)
        .unwrap_or_else(|error| panic!("{}", error.cause));
    assert_same_in_http2(&caller, sent, to_head);
    (parsed.framing, parsed.keep_alive)
}

/// The same head as the field block of a stream.
fn assert_same_in_http2(caller: &PlainHead<'_>, sent: &[u8], to_head: bool) {
    let context = ResponseContext { is_head: to_head, ..ResponseContext::default() };
    let mut block = Vec::new();
    let head = encode_response(sent, context, &mut block);
    let head = head.unwrap_or_else(|error| panic!("no response of HTTP/2: {error}"));
    assert_eq!(head.length, sent.len());
    let mut fields = Vec::new();
    let decoded = Decoder::new(0, usize::MAX)
        .decode(&block, |name, value| fields.push((name.to_vec(), value.to_vec())));
    assert!(decoded.is_ok(), "no field block");
    let (name, status) = fields.remove(0);
    assert_eq!((&name[..], &status[..]), (&b":status"[..], &caller.start[9..12]), "another status in HTTP/2");
    let is_same = |name: &[u8]| {
        !["connection", "host", "transfer-encoding", "upgrade"]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own.as_bytes()))
    };
    let expected = caller.fields.iter().filter(|(name, _)| is_same(name));
    let expected: Vec<_> =
        expected.map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect();
    assert_eq!(fields, expected, "other fields in HTTP/2");
}
