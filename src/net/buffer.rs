//! Byte buffers of the request path. Each worker thread has a pool of their memory (`buffer_pool`): a buffer is acquired
//! when bytes arrive, and returned when it is dropped. So an idle connection holds no buffer, and a busy one allocates
//! none.
//!
//! The bytes of a buffer, and the positions in them:
//!
//! ```text
//!            retained             start                  end of data
//!               v                   v                        v
//!   +-----------+-------------------+------------------------+- - - - - - - - +
//!   |  dropped  | consumed, but     | filled: read, and      | room for       |
//!   |           | may be rewound to | not consumed yet       | the next read  |
//!   +-----------+-------------------+------------------------+- - - - - - - - +
//! ```
//!
//! - [`fill`](Buffer::fill) appends to the end of the data. [`consume`](Buffer::consume) moves `start` to the
//!   right.
//! - [`retain`](Buffer::retain) sets `retained` to `start`. From then on consumed bytes are kept, so that a
//!   request can be sent again: [`rewind`](Buffer::rewind) moves `start` back to `retained`.
//! - If the room runs out, the bytes before `retained` (or before `start`, if nothing is retained) are
//!   removed.
//! - If more than [`MAX_RETAINED`] bytes are retained then, retaining ends: [`retained`](Buffer::retained) is
//!   `None`, and the request cannot be sent again. Bytes that are not consumed are never removed.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::buffer_pool::{self, READ_SIZE};

/// Number of bytes of a request that are retained at most.
const MAX_RETAINED: usize = 64 * 1024;

/// Bytes that were read, and how many of them were consumed.
pub(crate) struct Buffer {
    data: Vec<u8>,
    /// The first byte that is not consumed.
    start: usize,
    /// The first byte that is retained.
    retained: Option<usize>,
    /// The number of bytes at the front that hold a secret, and are wiped before the memory is used again.
    secret: usize,
}

impl Buffer {
    /// Takes an empty buffer from the thread's pool, or allocates one.
    pub(crate) fn acquire() -> Self {
        Self { data: buffer_pool::take(), start: 0, retained: None, secret: 0 }
    }

    /// The bytes that were read and not consumed.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.data[self.start..]
    }

    /// The same bytes, to change them in place.
    pub(crate) fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.data[self.start..]
    }

    /// Consumes `count` bytes at the front.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.data.len());
        if self.start == self.data.len() && self.retained.is_none() {
            self.clear();
        }
    }

    /// Retains what is consumed from now on, [`MAX_RETAINED`] bytes at most, so that [`rewind`](Self::rewind)
    /// can restore it.
    pub(crate) fn retain(&mut self) {
        self.retained = Some(self.start);
    }

    /// All bytes since [`retain`](Self::retain); `None` if nothing is retained, or it became too much.
    pub(crate) fn retained(&self) -> Option<&[u8]> {
        self.retained.map(|from| &self.data[from..])
    }

    /// Moves back to the first retained byte; retaining continues.
    pub(crate) fn rewind(&mut self) {
        self.start = self.retained.unwrap_or(self.start);
    }

    /// Ends retaining: consumed bytes are no longer kept.
    pub(crate) fn release_retained(&mut self) {
        self.retained = None;
        self.consume(0);
    }

    /// Whether every byte was consumed.
    pub(crate) fn is_empty(&self) -> bool {
        self.filled().is_empty()
    }

    /// Removes all bytes, retained ones as well.
    pub(crate) fn clear(&mut self) {
        self.wipe();
        self.data.clear();
        self.start = 0;
        self.retained = None;
    }

    /// The data, to append to. Only meaningful while nothing was consumed.
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }

    /// Appends bytes, also if some were consumed. Nothing must be retained.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.data.len() + bytes.len() > self.data.capacity() {
            self.data.drain(..self.start);
            self.start = 0;
        }
        self.data.extend_from_slice(bytes);
    }

    /// Says that what was appended so far holds a secret. A buffer to which a secret was written is not read into.
    pub(crate) fn mark_secret(&mut self) {
        self.secret = self.data.len();
    }

    /// Wipes what holds a secret. The memory stays in use, so that the compiler does not leave the writes out.
    fn wipe(&mut self) {
        if self.secret > 0 {
            let end = self.secret.min(self.data.len());
            self.data[..end].fill(0);
            self.secret = 0;
        }
    }

    /// Reads once; returns 0 at the end of the stream. No byte is lost if the future is dropped before it is
    /// ready.
    pub(crate) async fn fill(&mut self, io: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.make_room();
        io.read_buf(&mut self.data).await
    }

    /// [`fill`](Self::fill) for a hand-written future.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        pin!(io.read_buf(&mut self.data)).poll(cx)
    }

    /// Makes room for the next read, if there is little left.
    fn make_room(&mut self) {
        if self.data.capacity() - self.data.len() < READ_SIZE / 8 {
            if self.retained.is_some_and(|retained| self.data.len() - retained > MAX_RETAINED - READ_SIZE / 8)
            {
                self.retained = None;
            }
            let unused = self.retained.unwrap_or(self.start);
            self.data.drain(..unused);
            self.start -= unused;
            self.retained = self.retained.map(|_| 0);
            self.data.reserve(READ_SIZE / 8);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.wipe();
        buffer_pool::put(std::mem::take(&mut self.data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fill_keeps_unconsumed_bytes() {
        let mut buffer = Buffer::acquire();
        let text: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut source = &text[..];
        let mut seen = Vec::new();
        while buffer.fill(&mut source).await.unwrap() > 0 {
            let some = buffer.filled().len() / 2 + 1;
            seen.extend_from_slice(&buffer.filled()[..some]);
            buffer.consume(some);
        }
        seen.extend_from_slice(buffer.filled());
        assert_eq!(seen, text);
    }

    #[tokio::test]
    async fn rewind_restores_retained_bytes_up_to_the_limit() {
        for (total, is_retained) in [(10, true), (30_000, true), (60_000, true), (70_000, false)] {
            let text: Vec<u8> = (0..total).map(|n: u32| n.to_le_bytes()[0]).collect();
            let mut source = &text[..];
            let mut buffer = Buffer::acquire();
            buffer.fill(&mut &b"before"[..]).await.unwrap();
            buffer.consume(6);
            buffer.retain();
            let mut seen = Vec::new();
            while buffer.fill(&mut source).await.unwrap() > 0 {
                seen.extend_from_slice(buffer.filled());
                buffer.consume(buffer.filled().len());
            }
            assert!(seen == text && buffer.is_empty());
            assert_eq!(buffer.retained().is_some(), is_retained, "{total}");
            if is_retained {
                buffer.rewind();
                assert!(buffer.filled() == text);
                buffer.consume(3);
                buffer.release_retained();
                assert!(buffer.filled() == &text[3..]);
            }
            assert!(buffer.data.capacity() <= 2 * READ_SIZE);
        }
    }

    #[test]
    fn appended_bytes_take_the_room_of_consumed_ones() {
        let mut buffer = Buffer::acquire();
        buffer.append(b"first");
        for round in 0..1000_u32 {
            buffer.append(&[round.to_le_bytes()[0]; 1000]);
            buffer.consume(1000);
        }
        assert_eq!(
            (buffer.filled(), buffer.data.capacity()),
            (&[231; 5][..], Buffer::acquire().data.capacity())
        );
    }

    #[test]
    fn wiped_buffer_has_its_secret_no_more() {
        let mut buffer = Buffer::acquire();
        buffer.bytes_mut().extend_from_slice(b"secret");
        buffer.mark_secret();
        buffer.bytes_mut().extend_from_slice(b" and body");
        buffer.wipe();
        assert_eq!(buffer.data, b"\0\0\0\0\0\0 and body");
    }

    #[test]
    fn pooled_buffer_is_acquired_empty() {
        let mut buffer = Buffer::acquire();
        buffer.bytes_mut().extend_from_slice(b"secret");
        drop(buffer);
        assert!(Buffer::acquire().is_empty());
    }
}
