//! The property of request heads: a head that is accepted means the same to every reader.

use super::forwarded_head::assert_forwarded;
use super::plain_head::{PlainFraming, PlainHead, assert_is_one_head, is_token};
use super::services;
use crate::config::ServiceConfig;
use crate::proxy::ConnectionContext;
use crate::proxy::fuzzing::{
    BodyKind, ConnectHead, HeaderBuffer, MAX_HEAD, end_of_head, expects_continue, parse_connect,
    parse_request, upstream_head,
};

thread_local! {
    static CONNECTIONS: Vec<(ServiceConfig, ConnectionContext)> = services::connections();
}

/// Checks the property on what a caller sends.
pub fn request_head(input: &[u8]) {
    let Some(length) = end_of_head(input, 0) else { return };
    assert_end_is_found_in_pieces(input, length);
    if length > MAX_HEAD {
        return;
    }
    let bytes = &input[..length];
    expects_continue(bytes);
    check_connect(bytes);
    let mut header_buffer = HeaderBuffer::new();
    let Ok(head) = parse_request(bytes, &mut header_buffer) else { return };
    let caller = PlainHead::read(bytes);
    assert_is_one_head(bytes.trim_ascii_start());
    caller.assert_fields_are_clean();
    assert!(is_token(head.method.as_bytes()), "a method that is no token");
    assert!(!head.path.contains('#') && !head.path.bytes().any(|byte| byte.is_ascii_whitespace()));
    let fields = head.fields.iter().map(|field| (field.name.as_bytes(), field.value.trim_ascii()));
    assert!(fields.eq(caller.fields.iter().copied()), "another reader finds other fields");
    let body = match caller.framing() {
        PlainFraming::Unstated => BodyKind::Length(0),
        PlainFraming::Length(length) => BodyKind::Length(length),
        PlainFraming::Chunked => BodyKind::Chunked,
    };
    assert_eq!(head.meta.body, body, "another reader finds another body");
    assert!(caller.values("host").len() <= 1, "two hosts");
    assert!(head.meta.is_http10 || caller.has("host"), "no host");
    CONNECTIONS.with(|connections| {
        for (service, context) in connections {
            if let Some(sent) = upstream_head(context, bytes) {
                // A target in absolute form names the upstream's URL, base path included.
                let base_path = if head.absolute { &*service.upstream.base_path } else { "" };
                let path = head.path.strip_prefix(base_path).expect("a path below the base path");
                assert_forwarded(&caller, head.method, path, service, &sent);
            }
        }
    });
}

/// A head that comes in pieces ends where it ends in one piece.
fn assert_end_is_found_in_pieces(input: &[u8], length: usize) {
    for size in [1, 3, 64] {
        let (mut seen, mut offered) = (0, size.min(input.len()));
        let found = loop {
            if let Some(found) = end_of_head(&input[..offered], seen) {
                break found;
            }
            assert!(offered < input.len(), "the end is not found in pieces of {size}");
            (seen, offered) = (offered, (offered + size).min(input.len()));
        };
        assert_eq!(found, length, "another end in pieces of {size}");
    }
}

/// The target of a `CONNECT` that is accepted means itself.
fn check_connect(bytes: &[u8]) {
    let Ok(ConnectHead { host, port, .. }) = parse_connect(bytes) else { return };
    PlainHead::read(bytes).assert_fields_are_clean();
    let again = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    let again =
        parse_connect(again.as_bytes()).unwrap_or_else(|error| panic!("{host}:{port}: {}", error.cause));
    assert_eq!((again.host, again.port), (host, port));
}
