//! Byte buffers of the request path: taken from a pile of the worker thread, given back when a request is done, so that
//! an idle connection holds none and a busy one allocates none.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Read at once: a whole small message, a good part of a large one.
const SIZE: usize = 32 * 1024;
/// Buffers that a thread keeps.
const KEPT: usize = 64;

thread_local! {
    static PILE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that were read and not yet used up.
pub(super) struct Buffer {
    data: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// An empty buffer.
    pub(super) fn take() -> Self {
        let data = PILE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(SIZE));
        Self { data, start: 0 }
    }

    /// What is there.
    pub(super) fn filled(&self) -> &[u8] {
        &self.data[self.start..]
    }

    /// Drops `count` bytes from the front.
    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.data.len());
        if self.start == self.data.len() {
            self.clear();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.filled().is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.data.clear();
        self.start = 0;
    }

    /// To write into; only of use while nothing was consumed.
    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }

    /// Reads once; 0 is the end of the stream. Loses nothing when it is dropped half-way.
    pub(super) async fn fill(&mut self, io: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.make_room();
        io.read_buf(&mut self.data).await
    }

    /// [`fill`](Self::fill) for a hand-written future.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        pin!(io.read_buf(&mut self.data)).poll(cx)
    }

    /// Gives its memory back before it is dropped.
    pub(super) fn give_back(&mut self) {
        drop(Self { data: std::mem::take(&mut self.data), start: 0 });
        self.start = 0;
    }

    fn make_room(&mut self) {
        if self.data.capacity() - self.data.len() < SIZE / 8 {
            self.data.drain(..self.start);
            self.start = 0;
            self.data.reserve(SIZE / 8);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut data = std::mem::take(&mut self.data);
        data.clear();
        if data.capacity() > 2 * SIZE || data.capacity() == 0 {
            return;
        }
        // At the end of a thread its pile may be gone already.
        let _ = PILE.try_with(|pile| {
            let mut pile = pile.borrow_mut();
            if pile.len() < KEPT {
                pile.push(data);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_what_is_not_used_up_across_reads() {
        let mut buffer = Buffer::take();
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

    #[test]
    fn an_idle_thread_gives_a_buffer_back_empty() {
        let mut buffer = Buffer::take();
        buffer.bytes_mut().extend_from_slice(b"secret");
        drop(buffer);
        assert!(Buffer::take().is_empty());
    }
}
