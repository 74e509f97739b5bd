//! The fields of a message in HTTP/2 (RFC 9113 §8.2), and those of HTTP/1.1 that it does not have.

use std::io;

use super::coding::malformed;
use crate::proto::fields::{HeaderClass, is_tchar};

/// What a field takes beside its name and its value (RFC 9113 §6.5.2).
pub(super) const FIELD_OVERHEAD: usize = 32;
/// Number of trailers that are parsed on the stack. gRPC has two or three.
const MAX_FEW_TRAILERS: usize = 8;

/// A message, or a trailer section, that must not be forwarded (RFC 9113 §8.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

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

/// Appends the parts to `out`, one behind the other.
pub(super) fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Writes a field of a trailer section as a line, if it may be there.
pub(crate) fn put_trailer(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
    let (name, _) = check_field(name, value)?;
    put(out, &[name.as_bytes(), b": ", value, b"\r\n"]);
    Ok(())
}

/// Checks a field that is no pseudo-header field (RFC 9113 §8.2); returns its name and its class.
pub(super) fn check_field<'n>(name: &'n [u8], value: &[u8]) -> Result<(&'n str, HeaderClass), Malformed> {
    let is_name = |byte: &u8| is_tchar(*byte) && !byte.is_ascii_uppercase();
    if name.is_empty() || !name.iter().all(is_name) || !is_value(value) {
        return Err(Malformed);
    }
    let name = std::str::from_utf8(name).map_err(|_| Malformed)?;
    let class = HeaderClass::of(name);
    let is_of_connection = match class {
        HeaderClass::Connection | HeaderClass::TransferEncoding | HeaderClass::Upgrade => true,
        HeaderClass::HopByHop => matches!(name, "keep-alive" | "proxy-connection"),
        HeaderClass::Te => value != b"trailers",
        _ => false,
    };
    if is_of_connection { Err(Malformed) } else { Ok((name, class)) }
}

/// Whether a value has no control characters, and no whitespace at its beginning or end.
fn is_value(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let is_allowed = |byte: &u8| *byte >= 0x20 && *byte != 0x7f || *byte == b'\t';
    value.iter().all(is_allowed) && !is_blank(value.first()) && !is_blank(value.last())
}

/// Reads a length: digits only.
pub(super) fn length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_have_no_pseudo_fields_and_none_of_a_connection() {
        let mut out = Vec::new();
        put_trailer(&mut out, b"grpc-status", b"0").unwrap();
        for (name, value) in
            [(":path", "/"), ("connection", "close"), ("X", "1"), ("x", "1\n"), ("", ""), ("te", "gzip")]
        {
            assert_eq!(put_trailer(&mut out, name.as_bytes(), value.as_bytes()), Err(Malformed), "{name}");
        }
        assert_eq!(out, b"grpc-status: 0\r\n");
    }
}
