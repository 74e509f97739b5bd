//! The bytes of a connection to an upstream: TCP, TLS, or a stream of an HTTP/2 connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::http2;
use crate::net::read_ahead::ReadAhead;

/// A byte stream that a request is written to and its response is read from.
pub enum Stream {
    /// `http`
    Plain(TcpStream),
    /// `https`
    Tls(Box<TlsStream<ReadAhead<TcpStream>>>),
    /// A stream of an HTTP/2 connection, for one request.
    Http2(Box<http2::Stream>),
}

impl Stream {
    /// Whether there is nothing to read, as it must be on an idle connection. At the end of the stream the
    /// upstream has closed it. A byte without a request would be read as the start of the next response, so
    /// the connection cannot be used either.
    pub(super) fn has_nothing_to_read(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(self).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }
}

/// Calls the method of the stream inside.
macro_rules! delegate {
    ($self:ident.$method:ident($($arg:expr),*)) => {
        match $self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).$method($($arg),*),
            Stream::Tls(stream) => Pin::new(stream).$method($($arg),*),
            Stream::Http2(stream) => Pin::new(stream).$method($($arg),*),
        }
    };
}

/// Reads all TLS records that have arrived and fit into `buf`, without waiting: what is passed on then takes
/// one write instead of four.
///
/// An error after the first record is left to the next read, which reports it again: rustls remembers errors,
/// and an end without `close_notify` is one.
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
        delegate!(self.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Http2(_) => false,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self.poll_shutdown(cx))
    }
}
