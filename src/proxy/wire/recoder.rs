//! The body of a response in another coding than the upstream's.

use super::body::Body;
use super::framing::{FramingError, Segment};
use super::write_head::TransferMode;
use crate::net::buffer::Buffer;

/// Writes the content of a response in another coding: without chunks, or in new chunks.
pub(super) struct Recoder {
    pub(super) out: Buffer,
    is_chunked: bool,
    pub(super) is_done: bool,
}

impl Recoder {
    /// Returns a recoder if the transfer mode needs one.
    pub(super) fn of(mode: TransferMode) -> Option<Self> {
        (mode != TransferMode::Passthrough).then(|| Self {
            out: Buffer::acquire(),
            is_chunked: mode == TransferMode::Chunk,
            is_done: false,
        })
    }

    /// Moves all content from `buffer` to `out`, which is empty, in the other coding.
    pub(super) fn recode(&mut self, body: &mut Body<'_>, buffer: &mut Buffer) -> Result<(), FramingError> {
        let out = self.out.bytes_mut();
        loop {
            match body.next_of_response(buffer.filled_mut())? {
                Segment::Content(count) if self.is_chunked => {
                    out.extend_from_slice(format!("{count:x}\r\n").as_bytes());
                    out.extend_from_slice(&buffer.filled()[..count]);
                    out.extend_from_slice(b"\r\n");
                    buffer.consume(count);
                }
                Segment::Content(count) => {
                    out.extend_from_slice(&buffer.filled()[..count]);
                    buffer.consume(count);
                }
                Segment::Framing(count) => buffer.consume(count),
                Segment::NeedMore => break,
            }
        }
        if body.framing.is_done() {
            self.is_done = true;
            if self.is_chunked {
                out.extend_from_slice(b"0\r\n\r\n");
            }
        }
        Ok(())
    }
}
