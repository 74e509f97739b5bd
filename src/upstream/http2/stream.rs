//! One stream of an HTTP/2 connection, as a connection that carries one request.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::{PingHandle, SharedConnection};
use crate::net::http2::{InboundBody, StreamError, StreamHandle};
use crate::proto::http2::{OutboundBody, Reason};

/// An HTTP/2 stream that is written and read as HTTP/1.1: the bytes of one request, and those of its interim
/// responses and of its final response.
pub struct Stream {
    /// Ends before the connection does.
    handle: Option<StreamHandle>,
    connection: Arc<SharedConnection>,
    /// The body of the request; `None` until its head is written.
    request: Option<OutboundBody>,
    /// The body of the final response; `None` until its head was read.
    response: Option<InboundBody>,
}

impl Stream {
    pub(super) fn new(connection: Arc<SharedConnection>) -> Self {
        connection.request_started();
        Self { handle: None, connection, request: None, response: None }
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
    fn poll_send_head(&mut self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let handle = if let Some(handle) = &self.handle {
            handle
        } else {
            let unprocessed = StreamError::Unprocessed(Reason::NO_ERROR);
            self.handle.insert(self.connection.reserve_stream().ok_or(unprocessed)?)
        };
        ready!(handle.poll_room(cx))?;
        let request = handle.send_request(bytes, &self.connection.context)?;
        self.request = Some(OutboundBody::new(request.coding));
        Poll::Ready(Ok(request.length))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.handle = None;
        self.connection.request_ended();
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Nothing comes before the request was sent, and nothing after the end of its response.
        let Some(handle) = this.handle.as_ref().filter(|_| this.request.is_some()) else {
            return Poll::Pending;
        };
        if let Some(body) = &mut this.response {
            return if body.is_done() { Poll::Pending } else { body.poll_read(handle, cx, buf) };
        }
        this.response = ready!(handle.poll_read_heads(cx, buf))?.map(InboundBody::of_response);
        // The part of the body that has arrived comes with the head.
        if let Some(body) = this.response.as_mut().filter(|body| !body.is_done())
            && buf.remaining() > 0
        {
            // The next read reports an error again.
            let _ = body.poll_read(handle, cx, buf);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let head = if this.request.is_none() { ready!(this.poll_send_head(cx, bytes))? } else { 0 };
        match (&mut this.request, &this.handle) {
            (Some(request), Some(handle)) if head < bytes.len() => {
                match request.poll_write(&mut &*handle, cx, &bytes[head..]) {
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
    matches!(
        StreamError::find(error),
        Some(StreamError::ResetByPeer(Reason::REFUSED_STREAM) | StreamError::Unprocessed(Reason::NO_ERROR))
    )
}
