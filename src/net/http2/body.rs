//! The body that a stream brings, as the bytes of an HTTP/1.1 body.

use std::io::{self, Write as _};
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use super::body_coding::BodyCoding;
use super::stream::StreamHandle;
use crate::proto::http2::request_head::RequestHead;

/// What a chunk takes beside its content: a size of 31 bits, and two line endings.
const CHUNK_OVERHEAD: usize = 12;
/// The content of a chunk that is written for a buffer that has less room than a chunk.
const SMALL_CHUNK: usize = 1024;

/// The receiving side of a stream, behind its head.
pub(crate) struct InboundBody {
    coding: BodyCoding,
    /// Whether the last byte of a known length is kept until the message has ended, so that one with malformed trailers is not
    /// complete for the other side.
    holds_last: bool,
    /// Bytes that had no room: a small chunk, or the end of the body. `pending_read` of them were read.
    pending: Vec<u8>,
    pending_read: usize,
}

impl InboundBody {
    /// The body of a request with this head. `has_body`: the stream continues after it.
    pub(crate) fn of_request(head: &RequestHead, has_body: bool) -> Self {
        Self { holds_last: true, ..Self::of_response(BodyCoding::of_request(head, has_body)) }
    }

    /// The body of a response in this coding.
    pub(crate) fn of_response(coding: BodyCoding) -> Self {
        Self { coding, holds_last: false, pending: Vec::new(), pending_read: 0 }
    }

    /// Whether the whole body was read.
    pub(crate) fn is_done(&self) -> bool {
        self.coding == BodyCoding::Done && self.pending_read == self.pending.len()
    }

    /// Reads what has arrived. Reads nothing at the end of content without coding. Must not be called after the end of the
    /// body.
    pub(crate) fn poll_read(
        &mut self,
        stream: &StreamHandle,
        cx: &Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.pending_read < self.pending.len() {
            self.copy_pending(buf);
            return Poll::Ready(Ok(()));
        }
        let mut streams = stream.streams.lock();
        let slot = streams.slot(stream.slot);
        slot.check_read()?;
        let content = slot.received.as_ref().map_or(&[][..], |received| received.filled());
        let count = match self.coding {
            BodyCoding::Done => return Poll::Ready(Ok(())),
            BodyCoding::Length(left) => {
                let is_last = content.len() as u64 == left;
                let held = usize::from(self.holds_last && is_last && !slot.is_end);
                let count = (content.len() - held).min(buf.remaining());
                buf.put_slice(&content[..count]);
                let left = left - count as u64;
                self.coding = if left == 0 { BodyCoding::Done } else { BodyCoding::Length(left) };
                count
            }
            BodyCoding::Raw => {
                let count = content.len().min(buf.remaining());
                buf.put_slice(&content[..count]);
                if count == 0 && slot.is_end {
                    return Poll::Ready(Ok(()));
                }
                count
            }
            BodyCoding::Chunked if content.is_empty() => {
                if slot.is_end {
                    self.pending.clear();
                    self.pending_read = 0;
                    write!(self.pending, "0\r\n")?;
                    self.pending.append(&mut slot.trailers);
                    self.pending.extend_from_slice(b"\r\n");
                    self.coding = BodyCoding::Done;
                    drop(streams);
                    self.copy_pending(buf);
                    return Poll::Ready(Ok(()));
                }
                0
            }
            BodyCoding::Chunked => {
                let room = buf.remaining().saturating_sub(CHUNK_OVERHEAD);
                if room == 0 {
                    let count = content.len().min(SMALL_CHUNK);
                    self.pending.clear();
                    self.pending_read = 0;
                    write!(self.pending, "{count:x}\r\n")?;
                    self.pending.extend_from_slice(&content[..count]);
                    self.pending.extend_from_slice(b"\r\n");
                    self.copy_pending(buf);
                    count
                } else {
                    let count = content.len().min(room);
                    let mut line = [0; CHUNK_OVERHEAD];
                    let mut rest = &mut line[..];
                    write!(rest, "{count:x}\r\n")?;
                    let unused = rest.len();
                    buf.put_slice(&line[..CHUNK_OVERHEAD - unused]);
                    buf.put_slice(&content[..count]);
                    buf.put_slice(b"\r\n");
                    count
                }
            }
        };
        if count == 0 {
            slot.check()?;
            slot.wait_to_read(cx);
            return Poll::Pending;
        }
        if let Some(received) = &mut slot.received {
            received.consume(count);
            if received.is_empty() {
                slot.received = None;
            }
        }
        streams.acknowledge(stream.slot, count);
        streams.wake_task();
        Poll::Ready(Ok(()))
    }

    fn copy_pending(&mut self, buf: &mut ReadBuf<'_>) {
        let pending = &self.pending[self.pending_read..];
        let count = pending.len().min(buf.remaining());
        buf.put_slice(&pending[..count]);
        self.pending_read += count;
    }
}
