//! Reads from a socket as much as there is, for a reader that asks for little at a time.
//!
//! rustls asks for 4 KiB and holds no more than one record: sixteen system calls for an answer of 64 KB where one or two
//! do. The buffer is the worker's (`Buffer`), and only there while something is in it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::buffer::Buffer;

/// A connection that is read from in large pieces; writing passes through.
pub struct ReadAhead<S> {
    io: S,
    ahead: Option<Buffer>,
}

impl<S> ReadAhead<S> {
    /// Nothing is read before somebody asks.
    pub fn new(io: S) -> Self {
        Self { io, ahead: None }
    }

    /// Whether the next read is answered from what is there.
    pub fn has_more(&self) -> bool {
        self.ahead.is_some()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut ahead = this.ahead.take().unwrap_or_else(Buffer::acquire);
        if ahead.is_empty() && ready!(ahead.poll_fill(cx, &mut this.io))? == 0 {
            return Poll::Ready(Ok(()));
        }
        let count = ahead.filled().len().min(buf.remaining());
        buf.put_slice(&ahead.filled()[..count]);
        ahead.consume(count);
        this.ahead = Some(ahead).filter(|ahead| !ahead.is_empty());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Answers each read with the next piece, and counts.
    struct Script(Vec<&'static [u8]>);

    impl AsyncRead for Script {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buf.put_slice(self.0.pop().expect("one read too many"));
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn one_read_of_the_socket_answers_many() {
        let mut ahead = ReadAhead::new(Script(vec![b"", b"ab", b"0123456789"]));
        let mut four = [0; 4];
        for expected in [&b"0123"[..], b"4567", b"89", b"ab", b""] {
            let count = ahead.read(&mut four).await.unwrap();
            assert_eq!(&four[..count], expected);
        }
    }

    #[tokio::test]
    async fn waits_without_a_buffer_and_loses_nothing_to_a_reader_that_goes_away() {
        let (mut far, near) = duplex(64);
        let mut ahead = ReadAhead::new(near);
        let mut all = Vec::new();
        for piece in [&b"one"[..], b"two", b"three"] {
            let mut byte = [0];
            let waiting = tokio::time::timeout(std::time::Duration::ZERO, ahead.read(&mut byte)).await;
            assert!(waiting.is_err() && !ahead.has_more());
            far.write_all(piece).await.unwrap();
            assert_eq!(ahead.read(&mut byte).await.unwrap(), 1);
            all.extend(byte);
            while ahead.has_more() {
                ahead.read_buf(&mut all).await.unwrap();
            }
        }
        assert_eq!(all, b"onetwothree");
    }

    #[tokio::test]
    async fn writes_pass_through_in_pieces_of_the_socket() {
        let (mut far, near) = duplex(4);
        let mut ahead = ReadAhead::new(near);
        assert_eq!(ahead.write(b"123456").await.unwrap(), 4);
        let mut read = [0; 4];
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"1234");
        ahead.shutdown().await.unwrap();
        assert_eq!(far.read(&mut read).await.unwrap(), 0);
    }
}
