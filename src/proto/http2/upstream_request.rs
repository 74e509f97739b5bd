//! Translates the HTTP/1.1 head of a request, as the data plane has written it, to a field block for an upstream.

use std::io;
use std::mem::MaybeUninit;

use http::HeaderName;
use httparse::Header;
use memchr::memmem;

use super::coding::{Coding, malformed};
use super::fields::{is_in_http2, is_sensitive};
use super::hpack::encoder;
use super::target::encode_target;
use crate::proto::fields::HeaderClass;

/// Number of fields that are parsed on the stack: those of a request that the data plane passes on, and some that
/// it writes itself.
const MAX_FIELDS: usize = 160;

/// What holds for all requests of a connection.
#[derive(Debug)]
pub(crate) struct RequestContext {
    /// Whether the connection has TLS, which `:scheme` says.
    pub(crate) is_tls: bool,
    /// Names of the fields that hold the service's credential, which no intermediary may add to a table (RFC 7541 §7.1.3).
    pub(crate) sensitive: std::sync::Arc<[HeaderName]>,
}

/// A request head that was translated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UpstreamRequest {
    /// The number of bytes of the HTTP/1.1 head.
    pub(crate) length: usize,
    /// The coding of the bytes behind it.
    pub(crate) coding: Coding,
    /// Whether the method is `HEAD`.
    pub(crate) is_head: bool,
}

/// Appends the field block of the request whose head is at the front of `bytes`. `block` has nothing of it before.
///
/// The values of sensitive fields, of `Authorization` and of `Cookie` are never-indexed, and so is a path with a query, which may
/// hold a credential.
pub(crate) fn encode_request(
    bytes: &[u8],
    context: &RequestContext,
    block: &mut Vec<u8>,
) -> io::Result<UpstreamRequest> {
    let length = memmem::find(bytes, b"\r\n\r\n").ok_or_else(|| malformed("a head in pieces"))? + 4;
    let mut header_buffer = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(&bytes[..length], &mut header_buffer) {
        Ok(httparse::Status::Complete(read)) if read == length => {}
        _ => return Err(malformed("not a head")),
    }
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
        return Err(malformed("no request line"));
    };
    let host = parsed.headers.iter().find(|field| HeaderClass::of(field.name) == HeaderClass::Host);
    let authority = host.map(|host| host.value).filter(|value| !value.is_empty());
    encoder::put_method(block, method);
    encoder::put_scheme(block, context.is_tls);
    encoder::put_authority(block, authority.ok_or_else(|| malformed("no authority"))?);
    encoder::put_path(block, encode_target(target).as_bytes(), target.contains('?'));
    let mut coding = Coding::NONE;
    for field in parsed.headers.iter() {
        let class = HeaderClass::of(field.name);
        coding.read_field(class, field.value)?;
        if is_in_http2(class) {
            let is_sensitive = is_sensitive(class) || is_credential(field, &context.sensitive);
            encoder::put_field(block, field.name.as_bytes(), field.value, is_sensitive);
        }
    }
    Ok(UpstreamRequest { length, coding, is_head: method == "HEAD" })
}

fn is_credential(field: &Header<'_>, sensitive: &[HeaderName]) -> bool {
    sensitive.iter().any(|name| name.as_str().eq_ignore_ascii_case(field.name))
}

#[cfg(test)]
mod tests {
    use super::super::hpack::Decoder;
    use super::*;

    fn encode(
        bytes: &[u8],
        sensitive: &[&'static str],
    ) -> io::Result<(Vec<String>, Vec<u8>, UpstreamRequest)> {
        let sensitive = sensitive.iter().map(|name| HeaderName::from_static(name)).collect();
        let mut block = Vec::new();
        let request = encode_request(bytes, &RequestContext { is_tls: true, sensitive }, &mut block)?;
        let mut fields = Vec::new();
        let sink = |name: &[u8], value: &[u8]| {
            fields.push(format!("{}: {}", name.escape_ascii(), value.escape_ascii()));
        };
        Decoder::new(0, usize::MAX).decode(&block, sink).unwrap();
        Ok((fields, block, request))
    }

    #[test]
    fn target_and_fields_are_those_of_http1() {
        let bytes =
            b"POST /a%20b/<x>?y=`1` HTTP/1.1\r\nHost: up.example.com:8443\r\nX-A: 1\r\nContent-Length: 3\r\n\
                      TE: trailers\r\nConnection: TE\r\nauthorization: Bearer t\r\n\r\nabc";
        let (fields, _, request) = encode(bytes, &[]).unwrap();
        let expected = UpstreamRequest { length: bytes.len() - 3, coding: Coding::Length(3), is_head: false };
        assert_eq!(request, expected);
        assert_eq!(
            fields,
            [
                ":method: POST",
                ":scheme: https",
                ":authority: up.example.com:8443",
                ":path: /a%20b/%3Cx%3E?y=%601%60",
                "x-a: 1",
                "content-length: 3",
                "te: trailers",
                "authorization: Bearer t"
            ]
        );
        assert!(encode(b"GET / HTTP/1.1\r\nX: 1\r\n\r\n", &[]).is_err());
        assert!(encode(b"GET / HTTP/1.1\r\nHost:\r\n\r\n", &[]).is_err());
        assert!(encode(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", &[]).unwrap().2.is_head);
    }

    #[test]
    fn credentials_are_never_indexed() {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: k\r\nDPoP: p\r\nX-Other: o\r\nCookie: c\r\n\
                      Authorization: t\r\n\r\n";
        let (_, block, _) = encode(bytes, &["x-api-key", "dpop"]).unwrap();
        assert_eq!(
            block,
            b"\x82\x87\x01\x01a\x84\x10\x09x-api-key\x01k\x10\x04dpop\x01p\x00\x07x-other\x01o\x1f\x11\x01c\x1f\x08\x01t",
            "{}",
            block.escape_ascii()
        );
        let (_, block, _) = encode(b"GET /?key=k HTTP/1.1\r\nHost: a\r\n\r\n", &[]).unwrap();
        assert_eq!(block, b"\x82\x87\x01\x01a\x14\x07/?key=k", "{}", block.escape_ascii());
    }
}
