//! One stream of an HTTP/2 connection, as a connection that carries one request.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, SendStream};
use http::Method;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::SharedConnection;
use super::liveness::PingHandle;
use crate::proto::http2::heads;
use crate::proto::http2::heads::Head;
use crate::proto::http2::{InboundBody, OutboundBody};

/// An HTTP/2 stream that is written and read as HTTP/1.1: the bytes of one request, and those of its interim
/// responses and of its final response.
pub struct Stream {
    connection: Arc<SharedConnection>,
    /// `None` until the head of the request is written.
    request: Option<Request>,
    /// The bytes of a response head.
    head: Vec<u8>,
    /// The number of bytes of `head` that were read.
    head_read: usize,
    /// The final response, while the end of a body that it says to be empty has not come.
    awaits_end: Option<(http::response::Parts, h2::RecvStream)>,
    /// The body of the final response.
    body: Option<InboundBody>,
}

struct Request {
    sink: SendStream<Bytes>,
    body: OutboundBody,
    response: ResponseFuture,
    is_head: bool,
}

impl Stream {
    pub(super) fn new(connection: Arc<SharedConnection>) -> Self {
        connection.request_started();
        Self { connection, request: None, head: Vec::new(), head_read: 0, awaits_end: None, body: None }
    }

    /// The peer of its connection.
    pub(in crate::upstream) fn address(&self) -> SocketAddr {
        self.connection.address
    }

    /// A handle to check its connection with a PING.
    pub(in crate::upstream) fn ping_handle(&self) -> PingHandle {
        self.connection.ping_handle()
    }

    /// Sends the head at the front of `bytes`; returns its length.
    fn send_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Head { message, coding, length } =
            heads::read_request(bytes, &self.connection.scheme, &self.connection.sensitive_headers)?;
        let is_head = message.method() == Method::HEAD;
        let sent = self.connection.send_request(message, coding.is_done());
        let (response, stream) = sent.map_err(io::Error::other)?;
        self.request = Some(Request { sink: stream, body: OutboundBody::new(coding), response, is_head });
        Ok(length)
    }

    /// Waits for the head of the next response.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(request) = &mut self.request else { return Poll::Pending };
        self.head.clear();
        self.head_read = 0;
        if let Some((_, body)) = &mut self.awaits_end {
            while let Some(data) = ready!(body.poll_data(cx)) {
                // The `h2` crate lets no content through.
                data.map_err(io::Error::other)?;
            }
            let (parts, body) = self.awaits_end.take().expect("it was there a moment ago");
            return Poll::Ready(self.begin_response(parts, body));
        }
        if let Some(interim) = ready!(request.response.poll_informational(cx)) {
            let interim = interim.map_err(io::Error::other)?;
            heads::write_response(&mut self.head, &interim, false, false);
            return Poll::Ready(Ok(()));
        }
        let response = ready!(Pin::new(&mut request.response).poll(cx)).map_err(io::Error::other)?;
        let (parts, body) = response.into_parts();
        if heads::length(&parts.headers) == Some(0) && !body.is_end_stream() {
            // A response whose content contradicts its length must not be passed on (RFC 9113 §8.1.1).
            self.awaits_end = Some((parts, body));
            return self.poll_head(cx);
        }
        Poll::Ready(self.begin_response(parts, body))
    }

    /// Writes the head of the final response, and begins its body.
    fn begin_response(&mut self, parts: http::response::Parts, body: h2::RecvStream) -> io::Result<()> {
        let request =
            self.request.as_ref().ok_or_else(|| io::Error::other("a response without a request"))?;
        let length = heads::length(&parts.headers);
        let has_body = !body.is_end_stream();
        let response = http::Response::from_parts(parts, ());
        heads::write_response(&mut self.head, &response, has_body, request.is_head);
        self.body = Some(InboundBody::new(body, if has_body { length } else { Some(0) }));
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.request_ended();
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.head_read == this.head.len() && this.body.is_none() {
            ready!(this.poll_head(cx))?;
        }
        let head = &this.head[this.head_read..];
        if !head.is_empty() {
            let count = head.len().min(buf.remaining());
            buf.put_slice(&head[..count]);
            this.head_read += count;
            // The part of the body that has arrived comes with the head.
            if let Some(body) = this.body.as_mut().filter(|body| !body.is_done())
                && buf.remaining() > 0
            {
                // The next read reports an error again.
                let _ = body.poll_read(cx, buf);
            }
            return Poll::Ready(Ok(()));
        }
        match &mut this.body {
            Some(body) if !body.is_done() => body.poll_read(cx, buf),
            _ => Poll::Pending,
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let head = if this.request.is_none() { this.send_head(bytes)? } else { 0 };
        match &mut this.request {
            Some(request) if head < bytes.len() => {
                match request.body.poll_write(&mut request.sink, cx, &bytes[head..]) {
                    Poll::Ready(Ok(count)) => Poll::Ready(Ok(head + count)),
                    Poll::Pending if head > 0 => Poll::Ready(Ok(head)),
                    other => other,
                }
            }
            _ => Poll::Ready(Ok(head)),
        }
    }

    /// Does nothing: the connection's task sends what was written.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Whether the error shows that the upstream has not processed the request, so that the request may be sent
/// again whatever its method is (RFC 9113 §8.7).
pub fn is_unprocessed(error: &io::Error) -> bool {
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<h2::Error>()) else {
        return false;
    };
    let reason = error.reason();
    (error.is_reset() && error.is_remote() && reason == Some(Reason::REFUSED_STREAM))
        || (error.is_go_away() && error.is_remote() && reason == Some(Reason::NO_ERROR))
}
