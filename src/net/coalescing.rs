//! Collects the frames of a turn of an HTTP/2 connection, and writes them with one system call.
//!
//! The `h2` crate (0.4) copies small frames together, and writes a DATA frame of 256 bytes or more at once, together with what it
//! has copied: one system call for each response. It flushes after each of these writes, and once more when it has nothing left
//! to write. So a flush after the write of a payload of its own is not the last one of the turn, and writes nothing here. Any other
//! flush writes what was collected.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::buffer::Buffer;

/// A write of more bytes is passed on without a copy. Up to that, a copy costs less than a system call.
const MAX_COPIED_BYTES: usize = 4096;
/// The limit on the bytes that are collected.
const MAX_COLLECTED_BYTES: usize = 32 * 1024;

/// A connection whose small writes are collected. Reads pass through.
pub(crate) struct Coalescing<S> {
    io: S,
    /// What was collected. `None` while there is nothing: an idle connection has no buffer.
    collected: Option<Buffer>,
    /// Whether the bytes hold credentials, and are wiped once they are written.
    holds_secrets: bool,
    /// Whether the last write had a payload of its own, after which `h2` flushes a second time.
    is_flushed_again: bool,
}

impl<S: AsyncWrite + Unpin> Coalescing<S> {
    /// Wraps a connection of the `h2` crate.
    pub(crate) fn new(io: S) -> Self {
        Self { io, collected: None, holds_secrets: false, is_flushed_again: false }
    }

    /// Wraps a connection that credentials are written to.
    pub(crate) fn with_secrets(io: S) -> Self {
        Self { holds_secrets: true, ..Self::new(io) }
    }

    /// Copies the bytes, if they are few and there is room for them.
    fn collect(&mut self, bufs: &[IoSlice<'_>]) -> Option<usize> {
        let length = bufs.iter().map(|buf| buf.len()).sum();
        if length > MAX_COPIED_BYTES {
            return None;
        }
        let buffer = self.collected.get_or_insert_with(Buffer::acquire);
        // What was written of it already counts, because its room is not used again.
        if buffer.bytes_mut().len() + length > MAX_COLLECTED_BYTES {
            return None;
        }
        for buf in bufs {
            buffer.bytes_mut().extend_from_slice(buf);
        }
        if self.holds_secrets {
            buffer.mark_secret();
        }
        Some(length)
    }

    /// Writes what was collected.
    fn poll_write_collected(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(buffer) = &mut self.collected {
            match ready!(Pin::new(&mut self.io).poll_write(cx, buffer.filled()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => buffer.consume(written),
            }
            if buffer.is_empty() {
                self.collected = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Coalescing<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalescing<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.is_flushed_again = bufs.len() > 1;
        if let Some(length) = this.collect(bufs) {
            return Poll::Ready(Ok(length));
        }
        ready!(this.poll_write_collected(cx))?;
        Pin::new(&mut this.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.is_flushed_again) {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_write_collected(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_write_collected(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Records each write, and accepts `limit` bytes of it at most.
    struct Writes {
        all: Vec<Vec<u8>>,
        limit: usize,
    }

    impl Writes {
        fn coalescing(limit: usize) -> Coalescing<Self> {
            Coalescing::new(Self { all: Vec::new(), limit })
        }
    }

    impl AsyncWrite for Writes {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let count = buf.len().min(self.limit);
            self.all.push(buf[..count].to_vec());
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A DATA frame as `h2` writes it.
    async fn write_frame(io: &mut Coalescing<Writes>, head: &[u8], payload: &[u8]) {
        let slices = [IoSlice::new(head), IoSlice::new(payload)];
        let written = poll_fn(|cx| Pin::new(&mut *io).poll_write_vectored(cx, &slices)).await.unwrap();
        assert_eq!(written, head.len() + payload.len());
        io.flush().await.unwrap();
    }

    #[tokio::test]
    async fn small_frames_are_written_at_once_by_the_last_flush() {
        let mut io = Writes::coalescing(usize::MAX);
        write_frame(&mut io, b"head1 ", b"payload1 ").await;
        write_frame(&mut io, b"head2 ", b"payload2").await;
        assert!(io.io.all.is_empty());
        io.flush().await.unwrap();
        assert_eq!(io.io.all, [b"head1 payload1 head2 payload2"]);
        assert!(io.collected.is_none());
    }

    #[tokio::test]
    async fn frame_without_payload_is_written_by_its_flush() {
        let mut io = Writes::coalescing(5);
        io.write_all(b"settings").await.unwrap();
        io.flush().await.unwrap();
        assert_eq!(io.io.all, [&b"setti"[..], b"ngs"]);
    }

    #[tokio::test]
    async fn large_frame_is_written_after_what_was_collected() {
        let mut io = Writes::coalescing(usize::MAX);
        write_frame(&mut io, b"small", b"frame").await;
        io.write_all(&[b'x'; MAX_COPIED_BYTES + 1]).await.unwrap();
        let lengths: Vec<_> = io.io.all.iter().map(Vec::len).collect();
        assert_eq!(lengths, [10, MAX_COPIED_BYTES + 1]);
    }

    #[tokio::test]
    async fn collected_bytes_are_bounded() {
        let (near, mut far) = duplex(64);
        let mut io = Coalescing::new(near);
        let piece = [b'x'; 1000];
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut accepted = 0;
        // The peer reads a byte at a time.
        for _ in 0..1000 {
            while Pin::new(&mut io).poll_write(&mut context, &piece).is_ready() {
                accepted += piece.len();
            }
            assert!(accepted <= MAX_COLLECTED_BYTES);
            let _ = far.read_u8().await.unwrap();
        }
    }

    #[tokio::test]
    async fn shutdown_writes_what_was_collected() {
        let mut io = Writes::coalescing(usize::MAX);
        write_frame(&mut io, b"last ", b"frame").await;
        io.shutdown().await.unwrap();
        assert_eq!(io.io.all, [b"last frame"]);
    }
}
