//! WebSocket over HTTP/2 (RFC 8441).
//!
//! A stream opened by `CONNECT` with `:protocol` is translated to the `GET` with `Upgrade` of RFC 6455. The
//! 101 response is translated to a 200 whose stream stays open.
//!
//! HTTP/2 has no `Sec-WebSocket-Key` and no `Sec-WebSocket-Accept`. This module creates the key and computes
//! the expected value of the accept field, because an HTTP/2 caller cannot.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use ring::digest;

/// A server appends this to the key and hashes both (RFC 6455 §4.2.2).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The fields of an HTTP/1.1 upgrade request, up to the key.
const UPGRADE_FIELDS: &[u8] = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: ";
/// The length of a key: 16 bytes in Base64.
const KEY_LENGTH: usize = 24;

/// Writes the fields of an HTTP/1.1 upgrade request. The key is not a secret: it only has to differ each
/// time.
pub(crate) fn write_upgrade_fields(out: &mut Vec<u8>) {
    let key = fastrand::u128(..).to_ne_bytes();
    out.extend_from_slice(UPGRADE_FIELDS);
    out.extend_from_slice(STANDARD.encode(key).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The `Sec-WebSocket-Accept` that a server sends if it has read the key in `head`; `None` if `head` has no
/// key written by a `RequestWriter` (`request_head.rs`).
pub fn expected_accept(head: &[u8]) -> Option<String> {
    let at = memmem::find(head, UPGRADE_FIELDS)? + UPGRADE_FIELDS.len();
    let key = head.get(at..at + KEY_LENGTH)?;
    Some(STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_accept_matches_the_example_of_rfc_6455() {
        let head =
            [b"GET /chat HTTP/1.1\r\nhost: x\r\n", UPGRADE_FIELDS, b"dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"]
                .concat();
        assert_eq!(expected_accept(&head).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(expected_accept(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"), None);
    }

    #[test]
    fn upgrade_keys_differ_each_time() {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        write_upgrade_fields(&mut one);
        write_upgrade_fields(&mut two);
        assert_ne!(expected_accept(&one), expected_accept(&two));
        assert_eq!(one.len(), UPGRADE_FIELDS.len() + KEY_LENGTH + 2);
    }
}
