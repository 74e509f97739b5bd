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
    read: Buffer,
    io: &'a mut I,
}

impl<'a, I: Io> Prefixed<'a, I> {
    pub(crate) fn new(read: Buffer, io: &'a mut I) -> Self {
        Self { read, io }
    }

    /// Returns the first byte without consuming it; `None` at the end of the connection.
    pub(crate) async fn first(&mut self) -> io::Result<Option<u8>> {
        if self.read.is_empty() {
            poll_fn(|cx| {
                let polled = self.read.poll_fill(cx, self.io);
                if polled.is_pending() {
                    // A connection that waits has no buffer.
                    self.read.recycle();
                }
                polled
            })
            .await?;
        }
        Ok(self.read.filled().first().copied())
    }
}

impl<I: Io> AsyncRead for Prefixed<'_, I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            return Pin::new(&mut *this.io).poll_read(cx, buf);
        }
        let count = this.read.filled().len().min(buf.remaining());
        buf.put_slice(&this.read.filled()[..count]);
        this.read.consume(count);
        if this.read.is_empty() {
            this.read.recycle();
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: Io> AsyncWrite for Prefixed<'_, I> {
    delegate_write!(io);
}
