//! The body of a response in another coding than the upstream's, or with the credential masked.

use super::body::Body;
use super::body_guard::BodyGuard;
use super::framing::{Framing, FramingError, Segment};
use super::write_head::TransferMode;
use crate::net::buffer::Buffer;

/// Writes the content of a response: as it is, or in new chunks.
pub(super) struct Recoder<'g> {
    pub(super) out: Buffer,
    is_chunked: bool,
    pub(super) is_done: bool,
    guard: Option<Box<BodyGuard<'g>>>,
}

impl<'g> Recoder<'g> {
    /// Returns a recoder if the transfer mode or the guard needs one.
    pub(super) fn of(
        mode: TransferMode,
        framing: &Framing,
        guard: Option<Box<BodyGuard<'g>>>,
    ) -> Option<Self> {
        let is_chunked = match mode {
            TransferMode::Passthrough if guard.is_none() => return None,
            TransferMode::Passthrough => matches!(framing, Framing::Chunked(_)),
            TransferMode::Dechunk => false,
            TransferMode::Chunk => true,
        };
        Some(Self { out: Buffer::acquire(), is_chunked, is_done: false, guard })
    }

    /// Moves content from `buffer` to `out`, which is empty, in the other coding: all of it, but for what the guard holds back.
    pub(super) fn recode(&mut self, body: &mut Body<'_>, buffer: &mut Buffer) -> Result<(), FramingError> {
        loop {
            match body.next_of_response(buffer.filled_mut())? {
                Segment::Content(count) => {
                    self.content(&buffer.filled()[..count]);
                    buffer.consume(count);
                }
                // The last segment of chunked coding is the trailer section.
                Segment::Framing(count) => {
                    if body.framing.is_done() {
                        self.end(&buffer.filled()[..count]);
                    }
                    buffer.consume(count);
                }
                Segment::NeedMore => break,
            }
        }
        if body.framing.is_done() {
            self.end(b"\r\n");
        } else {
            self.release(false);
        }
        Ok(())
    }

    fn content(&mut self, content: &[u8]) {
        match &mut self.guard {
            Some(guard) if !guard.is_done() => guard.read(content),
            _ => write(&mut self.out, self.is_chunked, content),
        }
    }

    /// Writes what the guard does not hold back any more.
    fn release(&mut self, is_last: bool) {
        let Self { out, is_chunked, guard, .. } = self;
        if let Some(guard) = guard.as_mut().filter(|guard| !guard.is_done()) {
            guard.release(is_last, |content| write(out, *is_chunked, content));
        }
    }

    /// Writes what is left, and the trailer section. Does nothing if that was done.
    fn end(&mut self, trailers: &[u8]) {
        if std::mem::replace(&mut self.is_done, true) {
            return;
        }
        self.release(true);
        if self.is_chunked {
            let out = self.out.bytes_mut();
            out.extend_from_slice(b"0\r\n");
            out.extend_from_slice(trailers);
        }
    }
}

fn write(out: &mut Buffer, is_chunked: bool, content: &[u8]) {
    if content.is_empty() {
        return;
    }
    let out = out.bytes_mut();
    if is_chunked {
        out.extend_from_slice(format!("{:x}\r\n", content.len()).as_bytes());
    }
    out.extend_from_slice(content);
    if is_chunked {
        out.extend_from_slice(b"\r\n");
    }
}
