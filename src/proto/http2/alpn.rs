//! Names of HTTP versions in a TLS handshake (ALPN, RFC 7301).

/// HTTP/1.1.
pub const ALPN_HTTP1: &[u8] = b"http/1.1";
/// HTTP/2 over TLS (RFC 9113 §3.2).
pub const ALPN_HTTP2: &[u8] = b"h2";

/// The versions that callers are offered, the preferred one first.
pub fn alpn_protocols() -> Vec<Vec<u8>> {
    [ALPN_HTTP2, ALPN_HTTP1].map(<[u8]>::to_vec).into()
}
