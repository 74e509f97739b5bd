//! One downstream stream, as a connection that carries one request.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::http2::{InboundBody, StreamHandle};
use crate::proto::http2::request_head::RequestHead;
use crate::proto::http2::response_head::ResponseContext;
use crate::proto::http2::{OutboundBody, Reason};

/// The limit on the bytes of a request that are discarded after its response.
const MAX_DISCARDED_BYTES: usize = 64 * 1024;

/// An HTTP/2 stream that is read and written as HTTP/1.1: the body of a request is read from it, and the
/// interim responses and the final response are written to it.
pub(crate) struct Stream {
    handle: StreamHandle,
    body: InboundBody,
    context: ResponseContext,
    response: ResponseState,
}

/// How much of the final response was sent.
enum ResponseState {
    /// Nothing.
    Pending,
    /// The head. The body is being sent.
    Body(OutboundBody),
    /// All of it, in one frame. Bytes that are written now are not sent.
    Complete,
}

impl Stream {
    /// The stream of a request with this head. `has_body`: it continues after the head.
    pub(crate) fn new(handle: StreamHandle, head: &RequestHead, has_body: bool) -> Self {
        let context =
            ResponseContext { is_head: head.is_head, is_grpc: head.is_grpc, is_websocket: head.is_websocket };
        Self {
            handle,
            body: InboundBody::of_request(head, has_body),
            context,
            response: ResponseState::Pending,
        }
    }

    /// Whether the request ends without content, and without malformed trailers.
    pub(crate) async fn is_empty(&self) -> bool {
        self.handle.is_empty().await
    }

    /// Discards what the caller still sends after its response, up to a limit, so that the stream need not be
    /// reset.
    pub(crate) async fn linger(&self) {
        self.handle.discard(MAX_DISCARDED_BYTES).await;
    }

    /// Resets the stream.
    pub(crate) fn reset(&self, reason: Reason) {
        self.handle.reset(reason);
    }

    /// Sends the head at the front of `bytes`; returns its length, including an empty body behind it.
    fn send_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let head = self.handle.send_response(bytes, self.context)?;
        if head.is_complete {
            self.response = ResponseState::Complete;
        } else if !head.is_interim {
            self.response = ResponseState::Body(OutboundBody::new(head.coding));
        }
        Ok(head.length)
    }
}

impl AsyncRead for Stream {
    /// Reads the body. After its end a read fails when the caller resets the stream.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.body.is_done() {
            return this.handle.poll_failure(cx).map(Err);
        }
        this.body.poll_read(&this.handle, cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let head = match this.response {
            ResponseState::Pending => {
                ready!(this.handle.poll_room(cx))?;
                this.send_head(bytes)?
            }
            _ => 0,
        };
        let content = &bytes[head..];
        match &mut this.response {
            ResponseState::Body(body) if !content.is_empty() => {
                match body.poll_write(&mut &this.handle, cx, content) {
                    Poll::Ready(Ok(count)) => Poll::Ready(Ok(head + count)),
                    Poll::Pending if head > 0 => Poll::Ready(Ok(head)),
                    other => other,
                }
            }
            ResponseState::Pending | ResponseState::Body(_) => Poll::Ready(Ok(head)),
            ResponseState::Complete => Poll::Ready(Ok(bytes.len())),
        }
    }

    /// Does nothing: the connection's task writes the frames.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends the bytes of a WebSocket. Every other response has a framing that ends it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.response {
            ResponseState::Body(body) => body.finish(&mut &this.handle, cx),
            ResponseState::Pending | ResponseState::Complete => Poll::Ready(Ok(())),
        }
    }
}
