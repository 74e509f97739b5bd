//! Where a message body ends (RFC 9112 §6, §7).
//!
//! A body is passed on byte for byte, chunk sizes, extensions and trailers included; this module only watches it go by
//! to know its end. It is strict: two parties that disagree on where a request ends can be played against each other
//! (request smuggling), so what is not exactly chunked coding is refused.

use std::sync::Arc;

use crate::credential::Owned;
use crate::proto::fields::{HeaderClass, has_bare_line_feed};
use crate::proxy::error::{ErrorReason, ProxyError};

/// Longest chunk-size line, extensions included, and longest trailer section.
const MAX_LINE: usize = 4096;
const MAX_TRAILERS: usize = 32 * 1024;

/// How the end of a body is known, and how much of it is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes more; 0 is the end.
    Length(u64),
    /// Chunked coding.
    Chunked(ChunkedDecoder),
    /// All until the connection ends (responses only).
    CloseDelimited,
}

/// A run of bytes at the front of what was offered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// So many bytes of content.
    Content(usize),
    /// So many bytes of chunked coding around it.
    Framing(usize),
    /// More bytes are needed, or the body is done.
    NeedMore,
}

impl Framing {
    /// No body.
    pub(crate) const NONE: Self = Self::Length(0);

    /// Whether nothing more is to come.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.state == State::Done,
            Self::CloseDelimited => false,
        }
    }

    /// What the front of `bytes` is. Those bytes must then be used up before the next call.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Result<Segment, FramingError> {
        match self {
            Self::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= count as u64;
                Ok(if count == 0 { Segment::NeedMore } else { Segment::Content(count) })
            }
            Self::Chunked(chunks) => chunks.next(bytes),
            Self::CloseDelimited if bytes.is_empty() => Ok(Segment::NeedMore),
            Self::CloseDelimited => Ok(Segment::Content(bytes.len())),
        }
    }

    /// How many bytes at the front of `bytes` belong to the body, content and coding together.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, FramingError> {
        let mut taken = 0;
        loop {
            match self.next(&bytes[taken..])? {
                Segment::Content(count) | Segment::Framing(count) => taken += count,
                Segment::NeedMore => return Ok(taken),
            }
        }
    }
}

/// Chunked coding, watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChunkedDecoder {
    state: State,
    /// Bytes of the size line so far.
    line: usize,
    /// Where the credential goes: a caller must not slip a field in there as a trailer.
    forbidden: Option<Arc<Owned>>,
    /// Bytes of content that may still come.
    header_buffer: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    Start,
    Size(u64),
    /// Space between a size and `;` or the end of the line: nothing else may follow it.
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
    /// Before the first chunk. A trailer field in the slot `forbidden`, or one that frames or routes, is refused.
    pub(crate) fn new(forbidden: Option<Arc<Owned>>) -> Self {
        Self { state: State::Start, line: 0, forbidden, header_buffer: u64::MAX }
    }

    /// Takes no more than so many bytes of content.
    pub(crate) fn limit(&mut self, header_buffer: u64) {
        self.header_buffer = header_buffer;
    }

    fn next(&mut self, bytes: &[u8]) -> Result<Segment, FramingError> {
        match self.state {
            State::Data(left) => {
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                if count == 0 {
                    return Ok(Segment::NeedMore);
                }
                let left = left - count as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data(left) };
                Ok(Segment::Content(count))
            }
            State::Trailers => self.trailers(bytes),
            State::Done => Ok(Segment::NeedMore),
            _ => self.coding(bytes),
        }
    }

    /// Walks over coding until content, trailers or the end of `bytes`.
    fn coding(&mut self, bytes: &[u8]) -> Result<Segment, FramingError> {
        for (index, &byte) in bytes.iter().enumerate() {
            self.state = self.step(byte)?;
            if matches!(self.state, State::Data(_) | State::Trailers) {
                self.line = 0;
                return Ok(Segment::Framing(index + 1));
            }
        }
        Ok(if bytes.is_empty() { Segment::NeedMore } else { Segment::Framing(bytes.len()) })
    }

    fn step(&mut self, byte: u8) -> Result<State, FramingError> {
        self.line += 1;
        if self.line > MAX_LINE {
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
                    .map(State::Size)
                    .ok_or(FramingError("a chunk size is too large"))
            }
            (State::Extension(size), b'\r') => Ok(State::SizeLf(size)),
            (State::Extension(size), b'\t' | b' '..=b'~' | 0x80..) => Ok(State::Extension(size)),
            (State::Extension(_), _) => Err(FramingError("a chunk extension has a control character")),
            (State::SizeLf(0), b'\n') => Ok(State::Trailers),
            (State::SizeLf(size), b'\n') => {
                self.header_buffer = self.header_buffer.checked_sub(size).ok_or(FramingError(TOO_LARGE))?;
                Ok(State::Data(size))
            }
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => {
                self.line = 0;
                Ok(State::Start)
            }
            _ => Err(FramingError("a chunk does not end where its size says")),
        }
    }

    /// The trailer section is looked at whole, so that none of it is passed on before it was found good.
    fn trailers(&mut self, bytes: &[u8]) -> Result<Segment, FramingError> {
        let length = match bytes {
            [b'\r', b'\n', ..] => 2,
            _ => match bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(at) => at + 4,
                None if bytes.len() > MAX_TRAILERS => return Err(FramingError("the trailers are too large")),
                None => return Ok(Segment::NeedMore),
            },
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
        ) || self.forbidden.as_ref().is_some_and(|slot| slot.owns_header(name))
    }
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

/// A body that does not keep to its framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct FramingError(&'static str);

const TOO_LARGE: &str = "it is larger than max_request_body";

impl FramingError {
    /// It is well-formed, and there is too much of it.
    pub(crate) fn is_too_large(&self) -> bool {
        self.0 == TOO_LARGE
    }
}

impl From<FramingError> for ProxyError {
    /// Of a request's body.
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

    /// Offers `bytes` in portions of `size`, as a connection would; returns the content and how many bytes were used.
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
    fn finds_the_end_of_chunked_bodies_however_they_arrive() {
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
    fn refuses_everything_that_another_party_might_read_otherwise() {
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
        let endless = [b"5;".to_vec(), vec![b'a'; MAX_LINE]].concat();
        assert!(read(&mut chunked(), &endless, 1000).is_err());
        let trailers = [b"0\r\n".to_vec(), vec![b'a'; MAX_TRAILERS + 1]].concat();
        assert!(read(&mut chunked(), &trailers, 1000).is_err());
    }

    #[test]
    fn counts_a_length_and_leaves_the_rest() {
        let mut framing = Framing::Length(5);
        assert_eq!(framing.take(b"hel"), Ok(3));
        assert_eq!(framing.take(b"loGET /"), Ok(2));
        assert!(framing.is_done());
        assert_eq!(framing.take(b"GET /"), Ok(0));
    }

    proptest! {
        #[test]
        fn any_chunking_is_read_the_same_however_it_is_cut(
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
        fn never_panics_and_never_takes_more_than_there_is(bytes: Vec<u8>) {
            if let Ok(taken) = chunked().take(&bytes) {
                prop_assert!(taken <= bytes.len());
            }
        }
    }
}
