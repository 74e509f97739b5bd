//! WebSocket by HTTP/2 (RFC 8441): a stream opened by `CONNECT` with `:protocol` is to the data plane the `GET` with `Upgrade`
//! of RFC 6455, and the 101 that answers it is to the caller a 200 whose stream stays open.
//!
//! HTTP/2 has neither the key nor the proof that the server has read it. They are made and checked here, because a caller
//! cannot.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use h2::ext::Protocol;
use http::header::SEC_WEBSOCKET_ACCEPT;
use http::{Method, Response, StatusCode, request};
use memchr::memmem;
use ring::digest;

/// What a server puts behind the key before it hashes both (RFC 6455 §4.2.2).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The fields that ask for it, up to the key itself.
const ASKING: &[u8] = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: ";
/// 16 bytes in Base64.
const KEY: usize = 24;

/// Whether a stream is to become a WebSocket.
pub fn is_asked_for(parts: &request::Parts) -> bool {
    let protocol = parts.extensions.get::<Protocol>();
    parts.method == Method::CONNECT && protocol.is_some_and(|protocol| protocol.as_str() == "websocket")
}

/// Writes the fields that ask a server of HTTP/1.1 for it. The key is no secret: it only has to be another one each time.
pub(crate) fn ask(out: &mut Vec<u8>) {
    let key = fastrand::u128(..).to_ne_bytes();
    out.extend_from_slice(ASKING);
    out.extend_from_slice(STANDARD.encode(key).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The `Sec-WebSocket-Accept` that proves that the server has read the head that was written by `ask`.
pub fn proof(head: &[u8]) -> Option<String> {
    let at = memmem::find(head, ASKING)? + ASKING.len();
    let key = head.get(at..at + KEY)?;
    Some(STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat())))
}

/// Turns a 101 into what a caller of HTTP/2 is told: 200, and no word of a key that it knows nothing of.
pub fn opened(answer: &mut Response<()>) {
    *answer.status_mut() = StatusCode::OK;
    answer.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_the_standards_example() {
        let head =
            [b"GET /chat HTTP/1.1\r\nhost: x\r\n", ASKING, b"dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"].concat();
        assert_eq!(proof(&head).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(proof(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"), None);
    }

    #[test]
    fn no_key_comes_twice() {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        ask(&mut one);
        ask(&mut two);
        assert_ne!(proof(&one), proof(&two));
        assert_eq!(one.len(), ASKING.len() + KEY + 2);
    }
}
