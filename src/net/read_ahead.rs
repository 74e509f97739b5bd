//! Reads as much as a socket has, for a reader that reads few bytes at a time.
//!
//! rustls reads 4 KiB at a time and buffers one record at most: 16 system calls for a response of 64 KB, for
//! which one or two are enough. The buffer comes from the worker's pool, and is returned when it is empty.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::buffer::Buffer;
use super::delegate::delegate_write;

/// A connection that is read in large pieces. Writes pass through.
pub struct ReadAhead<S> {
    io: S,
    ahead: Option<Buffer>,
}

impl<S> ReadAhead<S> {
    /// Wraps a connection; reads nothing yet.
    pub fn new(io: S) -> Self {
        Self { io, ahead: None }
    }

    /// Whether the next read is served from the buffer.
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
    delegate_write!(io);
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Serves each read with the next piece; panics at one read too many.
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
    async fn one_socket_read_serves_many_reads() {
        let mut ahead = ReadAhead::new(Script(vec![b"", b"ab", b"0123456789"]));
        let mut four = [0; 4];
        for expected in [&b"0123"[..], b"4567", b"89", b"ab", b""] {
            let count = ahead.read(&mut four).await.unwrap();
            assert_eq!(&four[..count], expected);
        }
    }

    #[tokio::test]
    async fn cancelled_read_holds_no_buffer_and_loses_nothing() {
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
    async fn writes_pass_through() {
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
