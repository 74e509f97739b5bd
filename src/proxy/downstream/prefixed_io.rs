//! A connection whose first bytes were read already.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::buffer::Buffer;
use crate::net::delegate::delegate_write;
use crate::proxy::wire::relay::Io;

/// A connection that is read from its buffer first, and then from its socket.
pub(crate) struct Prefixed<'a, I> {
    /// What was read and not passed on. A connection that waits has no buffer.
    read: Option<Buffer>,
    io: &'a mut I,
}

impl<'a, I: Io> Prefixed<'a, I> {
    /// `read` has the bytes that were read already, if there are any.
    pub(crate) fn new(read: Option<Buffer>, io: &'a mut I) -> Self {
        Self { read: read.filter(|read| !read.is_empty()), io }
    }

    /// Returns the first byte without consuming it; `None` at the end of the connection.
    pub(crate) async fn first(&mut self) -> io::Result<Option<u8>> {
        if self.read.is_none() {
            self.read = poll_fn(|cx| {
                let mut read = Buffer::acquire();
                read.poll_fill(cx, self.io).map_ok(|count| (count > 0).then_some(read))
            })
            .await?;
        }
        Ok(self.read.as_ref().and_then(|read| read.filled().first().copied()))
    }
}

impl<I: Io> AsyncRead for Prefixed<'_, I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(read) = &mut this.read else { return Pin::new(&mut *this.io).poll_read(cx, buf) };
        let count = read.filled().len().min(buf.remaining());
        buf.put_slice(&read.filled()[..count]);
        read.consume(count);
        this.read.take_if(|read| read.is_empty());
        Poll::Ready(Ok(()))
    }
}

impl<I: Io> AsyncWrite for Prefixed<'_, I> {
    delegate_write!(io);
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn byte_that_comes_late_is_read_with_all_that_follows() {
        let (mut far, mut near) = duplex(64 * 1024);
        let mut io = Prefixed::new(None, &mut near);
        let waiting = tokio::time::timeout(std::time::Duration::ZERO, io.first()).await;
        assert!(waiting.is_err() && io.read.is_none(), "a connection that waits has no buffer");
        far.write_all(&[b'x'; 10_000]).await.unwrap();
        assert_eq!(io.first().await.unwrap(), Some(b'x'));
        assert_eq!(io.read.as_ref().unwrap().filled().len(), 10_000, "by one read, into a whole buffer");
        drop(far);
        let mut all = Vec::new();
        io.read_to_end(&mut all).await.unwrap();
        assert!(all == [b'x'; 10_000] && io.first().await.unwrap().is_none());
    }
}
