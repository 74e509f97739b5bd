//! The coding of an HTTP/1.1 body that is sent by an HTTP/2 stream, which has no coding of its own.

use std::io;

use super::limits::MAX_HEAD;
use crate::proto::fields::HeaderClass;

/// How the bytes of a body are coded. The data plane has checked them before it wrote them, so this only
/// removes what `proxy::wire::framing` let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coding {
    /// The number of bytes that are left.
    Length(u64),
    /// Chunked coding (RFC 9112 §7.1).
    Chunked(ChunkedParser),
    /// Bytes without coding, until [`OutboundBody::finish`](super::OutboundBody::finish).
    Raw,
}

impl Coding {
    /// No body.
    pub const NONE: Self = Self::Length(0);

    /// Whether nothing follows the head.
    pub fn is_done(&self) -> bool {
        *self == Self::NONE
    }

    /// Reads what a field of a head says of the coding of its body.
    pub(super) fn read_field(&mut self, class: HeaderClass, value: &[u8]) -> io::Result<()> {
        match class {
            HeaderClass::TransferEncoding => *self = Self::chunked(),
            HeaderClass::ContentLength => {
                let digits = std::str::from_utf8(value).unwrap_or_default();
                *self = Self::Length(digits.parse().map_err(|_| malformed("a length that is no number"))?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the bytes are chunks.
    pub fn is_chunked(&self) -> bool {
        matches!(self, Self::Chunked(_))
    }

    /// Chunked coding, before its first chunk.
    pub fn chunked() -> Self {
        Self::Chunked(ChunkedParser { state: ChunkedState::SizeLine, line: Vec::new() })
    }
}

/// The position in a chunked body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkedParser {
    pub(super) state: ChunkedState,
    /// The part of a size line or of a trailer section that has arrived.
    pub(super) line: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkedState {
    SizeLine,
    /// The number of bytes that are left of a chunk.
    Data(u64),
    /// The line ending after a chunk, and the number of its bytes that are left.
    DataEnd(u8),
    Trailers,
    Done,
}

impl ChunkedParser {
    /// Moves bytes up to and including a line feed to `line`; returns their number and whether there was a
    /// line feed.
    pub(super) fn take_line(&mut self, bytes: &[u8]) -> io::Result<(usize, bool)> {
        let end = memchr::memchr(b'\n', bytes);
        let count = end.map_or(bytes.len(), |end| end + 1);
        self.line.extend_from_slice(&bytes[..count]);
        if self.line.len() > MAX_HEAD as usize {
            return Err(malformed("a line without end"));
        }
        Ok((count, end.is_some()))
    }

    /// The size in a chunk's first line, without extensions.
    pub(super) fn chunk_size(&self) -> io::Result<u64> {
        let is_end = |byte: &u8| matches!(byte, b';' | b'\r' | b' ' | b'\t');
        let digits = self.line.split(is_end).next().unwrap_or_default();
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        u64::from_str_radix(digits, 16).map_err(|_| malformed("a chunk without size"))
    }
}

/// The error of a message that the data plane never writes.
pub(crate) fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a message: {what}"))
}
