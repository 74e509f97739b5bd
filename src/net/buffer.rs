//! Byte buffers of the request path: taken from a pool of the worker thread, given back when a request is done, so that
//! an idle connection holds none and a busy one allocates none.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Read at once: a whole small message, a good part of a large one. What is sent in pieces of a power of two has a head before it.
const READ_SIZE: usize = 33 * 1024;
/// So much is retained of a request that may be sent again.
const MAX_RETAINED: usize = 64 * 1024;
/// Buffers that a thread keeps.
const MAX_POOLED: usize = 64;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that were read and not yet used up.
pub(crate) struct Buffer {
    data: Vec<u8>,
    start: usize,
    /// What is used up from here on is retained, not dropped.
    retained: Option<usize>,
}

impl Buffer {
    /// An empty buffer.
    pub(crate) fn acquire() -> Self {
        let data = POOL.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(READ_SIZE));
        Self { data, start: 0, retained: None }
    }

    /// What is there.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.data[self.start..]
    }

    /// Drops `count` bytes from the front.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.data.len());
        if self.start == self.data.len() && self.retained.is_none() {
            self.clear();
        }
    }

    /// Holds what is used up from now on, so that [`rewind`](Self::rewind) can bring it back, for as long as it is not more
    /// than 64 KiB.
    pub(crate) fn retain(&mut self) {
        self.retained = Some(self.start);
    }

    /// All since [`hold`](Self::hold), if it is still there.
    pub(crate) fn retained(&self) -> Option<&[u8]> {
        self.retained.map(|from| &self.data[from..])
    }

    /// Goes back to where holding began, and goes on holding.
    pub(crate) fn rewind(&mut self) {
        self.start = self.retained.unwrap_or(self.start);
    }

    /// Drops what was retained.
    pub(crate) fn release_retained(&mut self) {
        self.retained = None;
        self.consume(0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filled().is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.data.clear();
        self.start = 0;
        self.retained = None;
    }

    /// To write into; only of use while nothing was consumed.
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }

    /// Reads once; 0 is the end of the stream. Loses nothing when it is dropped half-way.
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

    /// Gives its memory back before it is dropped.
    pub(crate) fn recycle(&mut self) {
        drop(std::mem::replace(self, Self { data: Vec::new(), start: 0, retained: None }));
    }

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
        let mut data = std::mem::take(&mut self.data);
        data.clear();
        if data.capacity() > 2 * READ_SIZE || data.capacity() == 0 {
            return;
        }
        // At the end of a thread its pool may be gone already.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < MAX_POOLED {
                pool.push(data);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_what_is_not_used_up_across_reads() {
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
    async fn what_is_held_comes_back_until_it_is_too_much() {
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
    fn an_idle_thread_gives_a_buffer_back_empty() {
        let mut buffer = Buffer::acquire();
        buffer.bytes_mut().extend_from_slice(b"secret");
        drop(buffer);
        assert!(Buffer::acquire().is_empty());
    }
}
