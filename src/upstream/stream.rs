//! A byte stream to an upstream: TCP, with or without TLS, or one of the streams of an HTTP/2 connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::http2;
use crate::net::read_ahead::ReadAhead;

/// What one request is written to and its answer read from.
pub enum Stream {
    /// `http`
    Plain(TcpStream),
    /// `https`
    Tls(Box<TlsStream<ReadAhead<TcpStream>>>),
    /// For one request only.
    Http2(Box<http2::Stream>),
}

impl Stream {
    /// Whether an idle connection still lives: nothing to read. An end of stream means closed; a byte that nobody
    /// asked for would be taken for the start of the next response, and so ends the connection too.
    pub(super) fn has_nothing_to_read(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(self).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }
}

/// Calls the same method of either kind.
macro_rules! either {
    ($self:ident.$method:ident($($arg:expr),*)) => {
        match $self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).$method($($arg),*),
            Stream::Tls(stream) => Pin::new(stream).$method($($arg),*),
            Stream::Http2(stream) => Pin::new(stream).$method($($arg),*),
        }
    };
}

/// Reads all the records that have come and that there is room for: what is passed on in one piece is one write and not four.
/// Nothing is waited for. What goes wrong after the first comes again with the next read: rustls remembers an error, and an end
/// without a `close_notify` is one.
fn poll_records(
    stream: &mut TlsStream<ReadAhead<TcpStream>>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    ready!(Pin::new(&mut *stream).poll_read(cx, buf))?;
    let mut before = 0;
    while before < buf.filled().len() && buf.remaining() > 0 && stream.get_ref().0.has_more() {
        before = buf.filled().len();
        if !matches!(Pin::new(&mut *stream).poll_read(cx, buf), Poll::Ready(Ok(()))) {
            break;
        }
    }
    Poll::Ready(Ok(()))
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => poll_records(stream, cx, buf),
            Self::Http2(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Http2(_) => false,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.poll_shutdown(cx))
    }
}
