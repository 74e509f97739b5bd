//! The framing of message bodies (RFC 9112 §6, §7): where a body ends.
//!
//! A body is passed on byte for byte, with its chunk sizes, extensions and trailers. This module parses it
//! only to find its end. The parser is strict: what is not exactly chunked coding is rejected, because two
//! parties that disagree on the end of a request make request smuggling possible.

use std::sync::Arc;

use super::leak_guard::LeakGuard;
use super::trailers;
use crate::credential::Owned;
use crate::proto::fields::{HeaderClass, has_bare_line_feed};
use crate::proto::grpc;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::rules::is_override;

/// The limit on a chunk-size line with its extensions, in bytes.
const MAX_CHUNK_LINE_BYTES: usize = 4096;
/// The limit on a trailer section, in bytes.
const MAX_TRAILER_BYTES: usize = 32 * 1024;
/// The limit on the size of a chunk and on a length: what is larger is a negative number to servers that count with a sign.
pub(super) const MAX_SIZE: u64 = i64::MAX as u64;

/// The framing of a body, and how much of the body is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Framing {
    /// The number of bytes that are still to come.
    Length(u64),
    /// Chunked coding.
    Chunked(ChunkedDecoder),
    /// A body that ends with the connection (responses only).
    CloseDelimited,
}

/// The first bytes of an input, by what they are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// This number of bytes is content.
    Content(usize),
    /// This number of bytes is chunked coding around content.
    Framing(usize),
    /// More bytes are needed, or the body has ended.
    NeedMore,
}

impl Framing {
    /// No body.
    pub(crate) const NONE: Self = Self::Length(0);

    /// Whether the body has ended.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Length(remaining) => *remaining == 0,
            Self::Chunked(decoder) => decoder.state == State::Done,
            Self::CloseDelimited => false,
        }
    }

    /// Whether the trailers, which have been read, have `grpc-status: 16`.
    pub(crate) fn is_grpc_unauthenticated(&self) -> bool {
        matches!(self, Self::Chunked(decoder) if decoder.is_grpc_unauthenticated)
    }

    /// Returns the segment at the front of `bytes`. The caller consumes its bytes before the next call.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Result<Segment, FramingError> {
        match self {
            Self::Length(remaining) => {
                let count = usize::try_from(*remaining).unwrap_or(usize::MAX).min(bytes.len());
                *remaining -= count as u64;
                Ok(if count == 0 { Segment::NeedMore } else { Segment::Content(count) })
            }
            Self::Chunked(decoder) => decoder.next(bytes),
            Self::CloseDelimited if bytes.is_empty() => Ok(Segment::NeedMore),
            Self::CloseDelimited => Ok(Segment::Content(bytes.len())),
        }
    }

    /// Like [`next`](Self::next), for the body of a response. Whitespace between the name of a trailer field and
    /// its colon is moved first, so that it is not passed on. A credential in the trailers is masked.
    pub(crate) fn next_of_response(
        &mut self,
        bytes: &mut [u8],
        guard: Option<LeakGuard<'_>>,
    ) -> Result<Segment, FramingError> {
        if matches!(self, Self::Chunked(decoder) if decoder.state == State::Trailers) {
            trailers::close_up_names(bytes);
            if let (Some(guard), Some(length)) = (guard, trailers::length(bytes)) {
                guard.mask(&mut bytes[..length]);
            }
        }
        self.next(bytes)
    }

    /// Returns the number of bytes at the front of `bytes` that belong to the body, content and coding
    /// together.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, FramingError> {
        let mut total = 0;
        loop {
            match self.next(&bytes[total..])? {
                Segment::Content(count) | Segment::Framing(count) => total += count,
                Segment::NeedMore => return Ok(total),
            }
        }
    }

    /// Like [`take`](Self::take), for the body of a response.
    pub(crate) fn take_of_response(
        &mut self,
        bytes: &mut [u8],
        guard: Option<LeakGuard<'_>>,
    ) -> Result<usize, FramingError> {
        let mut total = 0;
        loop {
            match self.next_of_response(&mut bytes[total..], guard)? {
                Segment::Content(count) | Segment::Framing(count) => total += count,
                Segment::NeedMore => return Ok(total),
            }
        }
    }
}

/// A decoder of chunked coding (RFC 9112 §7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChunkedDecoder {
    state: State,
    /// The number of bytes of the chunk-size line so far.
    line_bytes: usize,
    /// The headers that belong to the credential: a caller must not send them as trailers.
    forbidden: Option<Arc<Owned>>,
    /// Whether rules were matched against the head, so that no trailer may name another method or path.
    has_rules: bool,
    /// The number of bytes of content that may still come.
    remaining_limit: u64,
    /// Whether the trailers have `grpc-status: 16`.
    is_grpc_unauthenticated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    Start,
    Size(u64),
    /// In the space between a size and `;` or the end of the line. Nothing else may follow it.
    Space(u64),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    Trailers,
    Done,
}

impl ChunkedDecoder {
    /// Creates a decoder that expects the first chunk. It rejects trailer fields in `forbidden`, and fields
    /// of framing and routing.
    pub(crate) fn new(forbidden: Option<Arc<Owned>>) -> Self {
        Self {
            state: State::Start,
            line_bytes: 0,
            forbidden,
            has_rules: false,
            remaining_limit: u64::MAX,
            is_grpc_unauthenticated: false,
        }
    }

    /// Rejects trailer fields that name another method or path than the head, to a server that merges them with the head.
    pub(crate) fn set_rules(&mut self) {
        self.has_rules = true;
    }

    /// Limits the content to `max` bytes.
    pub(crate) fn set_limit(&mut self, max: u64) {
        self.remaining_limit = max;
    }

    fn next(&mut self, bytes: &[u8]) -> Result<Segment, FramingError> {
        match self.state {
            State::Data(remaining) => {
                let count = usize::try_from(remaining).unwrap_or(usize::MAX).min(bytes.len());
                if count == 0 {
                    return Ok(Segment::NeedMore);
                }
                let remaining = remaining - count as u64;
                self.state = if remaining == 0 { State::DataCr } else { State::Data(remaining) };
                Ok(Segment::Content(count))
            }
            State::Trailers => self.trailers(bytes),
            State::Done => Ok(Segment::NeedMore),
            _ => self.coding(bytes),
        }
    }

    /// Decodes coding until content, trailers or the end of `bytes`.
    fn coding(&mut self, bytes: &[u8]) -> Result<Segment, FramingError> {
        for (index, &byte) in bytes.iter().enumerate() {
            self.state = self.step(byte)?;
            if matches!(self.state, State::Data(_) | State::Trailers) {
                self.line_bytes = 0;
                return Ok(Segment::Framing(index + 1));
            }
        }
        Ok(if bytes.is_empty() { Segment::NeedMore } else { Segment::Framing(bytes.len()) })
    }

    fn step(&mut self, byte: u8) -> Result<State, FramingError> {
        self.line_bytes += 1;
        if self.line_bytes > MAX_CHUNK_LINE_BYTES {
            return Err(FramingError("a chunk-size line is too long"));
        }
        match (self.state, byte) {
            (State::Start, _) => Ok(State::Size(digit(byte).ok_or(FramingError("a chunk has no size"))?)),
            (State::Size(size) | State::Space(size), b'\r') => Ok(State::SizeLf(size)),
            (State::Size(size) | State::Space(size), b';') => Ok(State::Extension(size)),
            (State::Size(size) | State::Space(size), b' ' | b'\t') => Ok(State::Space(size)),
            (State::Space(_), _) => Err(FramingError("a chunk size has a space in it")),
            (State::Size(size), _) => {
                let digit = digit(byte).ok_or(FramingError("a chunk size is not hexadecimal"))?;
                size.checked_mul(16)
                    .and_then(|size| size.checked_add(digit))
                    .filter(|size| *size <= MAX_SIZE)
                    .map(State::Size)
                    .ok_or(FramingError("a chunk size is too large"))
            }
            (State::Extension(size), b'\r') => Ok(State::SizeLf(size)),
            (State::Extension(size), b'\t' | b' '..=b'~' | 0x80..) => Ok(State::Extension(size)),
            (State::Extension(_), _) => Err(FramingError("a chunk extension has a control character")),
            (State::SizeLf(0), b'\n') => Ok(State::Trailers),
            (State::SizeLf(size), b'\n') => {
                self.remaining_limit =
                    self.remaining_limit.checked_sub(size).ok_or(FramingError(TOO_LARGE))?;
                Ok(State::Data(size))
            }
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => {
                self.line_bytes = 0;
                Ok(State::Start)
            }
            _ => Err(FramingError("a chunk does not end where its size says")),
        }
    }

    /// Parses the trailer section. It must be complete, so that no part of it is passed on before all of it
    /// was checked.
    fn trailers(&mut self, bytes: &[u8]) -> Result<Segment, FramingError> {
        let length = match trailers::length(bytes) {
            Some(length) if length <= MAX_TRAILER_BYTES => length,
            None if bytes.len() <= MAX_TRAILER_BYTES => return Ok(Segment::NeedMore),
            // The limit holds however they arrive.
            _ => return Err(FramingError("the trailers are too large")),
        };
        if length > 2 {
            if has_bare_line_feed(&bytes[..length]) {
                return Err(FramingError("a trailer ends in a bare line feed"));
            }
            let mut fields = [httparse::EMPTY_HEADER; 64];
            match httparse::parse_headers(&bytes[..length], &mut fields) {
                Ok(httparse::Status::Complete((read, fields))) if read == length => {
                    if fields.iter().any(|field| self.forbids(field.name)) {
                        return Err(FramingError(
                            "a trailer has the name of a field that frames, routes or authenticates",
                        ));
                    }
                    self.is_grpc_unauthenticated = fields.iter().any(grpc::is_unauthenticated);
                }
                _ => return Err(FramingError("the trailers are malformed")),
            }
        }
        self.state = State::Done;
        Ok(Segment::Framing(length))
    }

    fn forbids(&self, name: &str) -> bool {
        !matches!(
            HeaderClass::of(name),
            HeaderClass::EndToEnd | HeaderClass::Traceparent | HeaderClass::Tracestate
        ) || self.forbidden.as_ref().is_some_and(|owned| owned.owns_header(name))
            || (self.has_rules && is_override(name))
    }
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

/// A violation of the framing of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct FramingError(&'static str);

const TOO_LARGE: &str = "it is larger than max_request_body";

impl FramingError {
    /// Whether the body is well-formed, but larger than its limit.
    pub(crate) fn is_too_large(&self) -> bool {
        self.0 == TOO_LARGE
    }

    /// Converts the error of a response's body of which nothing was passed on.
    pub(crate) fn of_upstream(self) -> ProxyError {
        ProxyError::new(ErrorReason::UpstreamProtocol, format!("the upstream's body is malformed: {self}"))
    }
}

impl From<FramingError> for ProxyError {
    /// Converts the error of a request's body.
    fn from(error: FramingError) -> Self {
        let reason = if error.is_too_large() { ErrorReason::TooLarge } else { ErrorReason::BadRequest };
        Self::new(reason, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunked() -> Framing {
        Framing::Chunked(ChunkedDecoder::new(Some(Arc::new(Owned::authorization()))))
    }

    /// Decodes `bytes` in portions of `size`, as a connection delivers them. Returns the content and the
    /// number of bytes used.
    fn read(framing: &mut Framing, bytes: &[u8], size: usize) -> Result<(Vec<u8>, usize), FramingError> {
        let (mut content, mut used, mut offered) = (Vec::new(), 0, 0);
        while !framing.is_done() {
            match framing.next(&bytes[used..offered])? {
                Segment::Content(count) => {
                    content.extend_from_slice(&bytes[used..used + count]);
                    used += count;
                }
                Segment::Framing(count) => used += count,
                Segment::NeedMore if offered == bytes.len() => break,
                Segment::NeedMore => offered = (offered + size).min(bytes.len()),
            }
        }
        Ok((content, used))
    }

    #[test]
    fn chunked_body_end_is_found_in_every_portion_size() {
        for (body, content) in [
            (&b"0\r\n\r\n"[..], &b""[..]),
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            (b"5;ext=\"a b\"\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n", b"hello0123456789"),
            (b"00a\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", b"0123456789"),
            (b"1 \r\nx\r\n1\t ;y\r\nz\r\n000\r\n\r\n", b"xz"),
        ] {
            for size in 1..body.len() {
                let mut framing = chunked();
                let with_next: Vec<u8> = [body, b"GET / HTTP/1.1\r\n"].concat();
                assert_eq!(read(&mut framing, &with_next, size), Ok((content.to_vec(), body.len())));
                assert!(framing.is_done());
            }
        }
    }

    #[test]
    fn ambiguous_chunked_body_is_rejected() {
        for body in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"+5\r\nhello",
            b"0x5\r\nhello",
            b"5\nhello",
            b"5\r\nhello!\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5;a\nb\r\nhello",
            b"5;a\0\r\nhello",
            b"fffffffffffffffff\r\n",
            b"1 1\r\nhello hello",
            b"1\t;\n\r\n",
            b"0\r\nX: a\nY: b\r\n\r\n",
            b"0\r\nAuthorization: Bearer evil\r\n\r\n",
            b"0\r\nContent-Length: 5\r\n\r\n",
            b"0\r\nhost: evil\r\n\r\n",
            b"0\r\nno colon\r\n\r\n",
        ] {
            assert!(read(&mut chunked(), body, body.len()).is_err(), "{:?}", body.escape_ascii().to_string());
        }
        let endless = [b"5;".to_vec(), vec![b'a'; MAX_CHUNK_LINE_BYTES]].concat();
        assert!(read(&mut chunked(), &endless, 1000).is_err());
        let trailers = [b"0\r\n".to_vec(), vec![b'a'; MAX_TRAILER_BYTES + 1]].concat();
        assert!(read(&mut chunked(), &trailers, 1000).is_err());
    }

    #[test]
    fn trailers_over_the_limit_are_rejected_however_they_arrive() {
        for (length, is_accepted) in [(MAX_TRAILER_BYTES, true), (MAX_TRAILER_BYTES + 1, false)] {
            let field = [&b"X: "[..], &vec![b'a'; length - 7], b"\r\n\r\n"].concat();
            let body = [&b"0\r\n"[..], &field].concat();
            for size in [1000, body.len()] {
                assert_eq!(
                    read(&mut chunked(), &body, size).is_ok(),
                    is_accepted,
                    "{length} in pieces of {size}"
                );
            }
        }
    }

    #[test]
    fn space_before_colon_in_a_trailer_is_for_responses_only() {
        let body = b"1\r\nx\r\n0\r\nX-Sum : 1\r\n\r\n";
        assert!(read(&mut chunked(), body, body.len()).is_err());
        let (mut response, mut bytes) = (Framing::Chunked(ChunkedDecoder::new(None)), body.to_vec());
        assert_eq!(response.take_of_response(&mut bytes, None), Ok(body.len()));
        assert_eq!(bytes, b"1\r\nx\r\n0\r\nX-Sum:  1\r\n\r\n");
        let mut forbidden = b"0\r\nContent-Length : 5\r\n\r\n".to_vec();
        let mut response = Framing::Chunked(ChunkedDecoder::new(None));
        assert!(response.take_of_response(&mut forbidden, None).is_err());
    }

    #[test]
    fn length_framing_ends_before_following_bytes() {
        let mut framing = Framing::Length(5);
        assert_eq!(framing.take(b"hel"), Ok(3));
        assert_eq!(framing.take(b"loGET /"), Ok(2));
        assert!(framing.is_done());
        assert_eq!(framing.take(b"GET /"), Ok(0));
    }

    proptest! {
        #[test]
        fn any_chunking_yields_the_same_content(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..8),
            size in 1usize..60,
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(read(&mut chunked(), &body, size), Ok((chunks.concat(), body.len())));
        }

        #[test]
        fn any_bytes_are_decoded_without_panic_or_overrun(bytes: Vec<u8>) {
            if let Ok(count) = chunked().take(&bytes) {
                prop_assert!(count <= bytes.len());
            }
        }
    }
}
