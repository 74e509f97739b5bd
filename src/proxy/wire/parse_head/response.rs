//! The head of a response.

use std::mem::MaybeUninit;
use std::time::Duration;

use httparse::{Header, ParserConfig, Status};
use memchr::memchr_iter;

use super::framing_headers::FramingHeaders;
use super::{HeaderBuffer, MAX_FIELDS};
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::wire::framing::{ChunkedDecoder, Framing};

/// The head of a response, borrowed from the bytes that it was parsed from.
pub(crate) struct ResponseHead<'h, 'b> {
    pub(crate) status: u16,
    /// The reason phrase as it was received, which may not be UTF-8.
    pub(crate) reason: &'b [u8],
    pub(crate) fields: &'h [Header<'b>],
    /// Whether `Connection` names other fields (connection options, RFC 9110 §7.6.1).
    pub(crate) has_connection_options: bool,
    pub(crate) framing: Framing,
    /// Whether the upstream keeps the connection open after this response.
    pub(crate) keep_alive: bool,
    /// How long the upstream keeps an idle connection open (`Keep-Alive: timeout=N`).
    pub(crate) keep_alive_for: Option<Duration>,
    /// Whether the response has `Upgrade: websocket`.
    pub(crate) is_websocket: bool,
    pub(crate) is_http10: bool,
    /// Whether the head has `grpc-status: 16` (UNAUTHENTICATED).
    pub(crate) is_grpc_unauthenticated: bool,
}

/// Parses the head of a response, of at most `max_fields` fields. `to_head` says whether the request was a
/// `HEAD`.
pub(crate) fn response<'h, 'b>(
    bytes: &'b [u8],
    header_buffer: &'h mut HeaderBuffer<'b>,
    to_head: bool,
    max_fields: usize,
) -> Result<ResponseHead<'h, 'b>, ProxyError> {
    let bad = |cause: String| {
        let cause = format!("the upstream's response is malformed: {cause}");
        ProxyError::new(ErrorReason::UpstreamProtocol, cause)
    };
    // The parser would skip empty lines before the status line.
    if !bytes.starts_with(b"HTTP/1.") {
        return Err(bad("it does not begin with HTTP/1".into()));
    }
    let mut parsed = httparse::Response::new(&mut []);
    let mut parser = ParserConfig::default();
    // A proxy removes whitespace between a field's name and its colon from a response, and rejects it in a
    // request (RFC 9112 §5.1). The parser leaves it out of the name, so that such a field frames as any other.
    parser.allow_spaces_after_header_name_in_responses(true);
    let HeaderBuffer { stack, heap } = header_buffer;
    let mut outcome = parser.parse_response_with_uninit_headers(&mut parsed, bytes, stack);
    if outcome == Err(httparse::Error::TooManyHeaders) && max_fields > MAX_FIELDS {
        let lines = memchr_iter(b'\n', bytes).count();
        heap.resize_with(lines.min(max_fields), MaybeUninit::uninit);
        parsed = httparse::Response::new(&mut []);
        outcome = parser.parse_response_with_uninit_headers(&mut parsed, bytes, heap);
    }
    match outcome {
        Ok(Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(bad("the head does not end where its lines end".into())),
        Err(httparse::Error::TooManyHeaders) => return Err(bad(too_many_fields(max_fields))),
        Err(error) => return Err(bad(error.to_string())),
    }
    if parsed.headers.len() > max_fields {
        return Err(bad(too_many_fields(max_fields)));
    }
    let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(bad("the head is not complete".into()));
    };
    if !(100..=999).contains(&status) {
        return Err(bad("its status is not a number of three digits".into()));
    }
    let fields: &'h [Header<'b>] = parsed.headers;
    let headers = FramingHeaders::of(fields).map_err(|failure| bad(failure.cause.into()))?;
    if headers.is_chunked && headers.length.is_some() {
        return Err(bad("both Content-Length and Transfer-Encoding".into()));
    }
    let framing = match status {
        _ if to_head => Framing::NONE,
        100..=199 | 204 | 304 => Framing::NONE,
        _ if headers.is_chunked => Framing::Chunked(ChunkedDecoder::new(None)),
        _ => headers.length.map_or(Framing::CloseDelimited, Framing::Length),
    };
    // A response of HTTP/1.0 with a transfer coding is faulty, and the last one of its connection (RFC 9112 §6.1).
    let is_persistent = (minor == 1 || headers.keep_alive && !headers.is_chunked) && !headers.close;
    Ok(ResponseHead {
        status,
        reason: reason(bytes),
        fields,
        has_connection_options: headers.has_connection_options,
        keep_alive: is_persistent && framing != Framing::CloseDelimited,
        framing,
        keep_alive_for: headers.keep_alive_for,
        is_websocket: headers.upgrade && headers.is_websocket,
        is_http10: minor == 0,
        is_grpc_unauthenticated: headers.is_grpc_unauthenticated,
    })
}

fn too_many_fields(max: usize) -> String {
    format!("its head has more than {max} fields (max_response_head.fields)")
}

/// Returns the reason phrase, which follows `HTTP/1.x 200` and a space in a head that was parsed. The parser returns
/// none that is not ASCII.
fn reason(head: &[u8]) -> &[u8] {
    let rest = head.get(12..).unwrap_or_default();
    let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let rest = &rest[..end.unwrap_or(rest.len())];
    rest.strip_prefix(b" ").unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(head: &str, to_head: bool) -> Result<(Framing, bool), ErrorReason> {
        let mut header_buffer = HeaderBuffer::new();
        let parsed =
            response(head.as_bytes(), &mut header_buffer, to_head, 200).map_err(|failure| failure.reason)?;
        Ok((parsed.framing, parsed.keep_alive))
    }

    #[test]
    fn reason_ends_with_the_status_line() {
        for (line, expected) in [
            ("200 OK\r\n", "OK"),
            ("200  O K \r\n", " O K "),
            ("200 \r\n", ""),
            ("200\r\n", ""),
            ("200 OK\n", "OK"),
            ("200\n", ""),
        ] {
            let head = format!("HTTP/1.1 {line}Location: https://a/\r\n\r\n");
            let mut header_buffer = HeaderBuffer::new();
            let parsed = response(head.as_bytes(), &mut header_buffer, false, 200).unwrap();
            assert_eq!(parsed.reason, expected.as_bytes(), "{line:?}");
        }
    }

    #[test]
    fn response_framing_follows_status_and_fields() {
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(framing(length, false), Ok((Framing::Length(5), true)));
        assert_eq!(framing(length, true), Ok((Framing::NONE, true)));
        assert_eq!(framing("HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n", false), Ok((Framing::NONE, true)));
        assert_eq!(framing("HTTP/1.1 304 Not Modified\r\n\r\n", false), Ok((Framing::NONE, true)));
        assert_eq!(framing("HTTP/1.1 200 OK\r\n\r\n", false), Ok((Framing::CloseDelimited, false)));
        assert_eq!(
            framing("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false),
            Ok((Framing::Length(5), false))
        );
        for (version, is_kept) in [("1.1", true), ("1.0", false)] {
            let head = format!(
                "HTTP/{version} 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            assert_eq!(
                framing(&head, false).map(|(_, is_persistent)| is_persistent),
                Ok(is_kept),
                "{version}"
            );
        }
        for spaced in ["Content-Length : 5", "Content-Length\t :5"] {
            let head = format!("HTTP/1.1 200 OK\r\n{spaced}\r\nConnection : close\r\n\r\n");
            assert_eq!(framing(&head, false), Ok((Framing::Length(5), false)));
        }
        for bad in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length : 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length : 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\n Content-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTP/1.1 200 OK\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n\r\n",
        ] {
            assert_eq!(framing(bad, false), Err(ErrorReason::UpstreamProtocol), "{bad:?}");
        }
    }

    #[test]
    fn response_fields_are_limited_by_their_number() {
        let with = |fields| format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(fields));
        for (fields, max, is_accepted) in [
            (5, 5, true),
            (6, 5, false),
            (128, 128, true),
            (129, 128, false),
            (200, 200, true),
            (201, 200, false),
        ] {
            let head = with(fields);
            let mut header_buffer = HeaderBuffer::new();
            let parsed = response(head.as_bytes(), &mut header_buffer, false, max);
            assert_eq!(
                parsed.is_ok_and(|parsed| parsed.fields.len() == fields),
                is_accepted,
                "{fields} {max}"
            );
        }
    }
}
