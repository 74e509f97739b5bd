//! One downstream stream, as a connection that carries one request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Method, StatusCode, request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::grpc;
use crate::proto::http2::heads;
use crate::proto::http2::heads::Head;
use crate::proto::http2::{Coding, Findings, InboundBody, OutboundBody, websocket};

/// The limit on the bytes of a request that are discarded after its response.
const MAX_DISCARDED_BYTES: usize = 64 * 1024;

/// An HTTP/2 stream that is read and written as HTTP/1.1: the body of a request is read from it, and the
/// interim responses and the final response are written to it.
pub(crate) struct Stream {
    body: InboundBody,
    respond: SendResponse<Bytes>,
    response: ResponseState,
    is_head: bool,
    is_grpc: bool,
    is_websocket: bool,
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
    /// The stream of a request with this head.
    pub(crate) fn new(
        parts: &request::Parts,
        body: RecvStream,
        respond: SendResponse<Bytes>,
        findings: Arc<Findings>,
    ) -> Self {
        let is_websocket = websocket::is_websocket(parts);
        Self {
            body: if is_websocket {
                InboundBody::raw(body)
            } else {
                InboundBody::new(body, heads::length(&parts.headers)).checked(findings)
            },
            respond,
            response: ResponseState::Pending,
            is_head: parts.method == Method::HEAD,
            is_grpc: grpc::is_call(&parts.headers),
            is_websocket,
        }
    }

    /// Whether the body ends without content, and without malformed trailers.
    pub(crate) async fn is_empty(&mut self) -> bool {
        self.body.is_empty().await
    }

    /// Discards what the caller still sends after its response, up to a limit, so that the stream need not be
    /// reset.
    pub(crate) async fn linger(&mut self) {
        self.body.discard(MAX_DISCARDED_BYTES).await;
    }

    /// Resets the stream.
    pub(crate) fn reset(&mut self, reason: Reason) {
        match &mut self.response {
            ResponseState::Body(body) => body.reset(reason),
            ResponseState::Pending | ResponseState::Complete => self.respond.send_reset(reason),
        }
    }

    /// Sends the head at the front of `bytes`; returns its length, including an empty body behind it.
    fn send_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Head { mut message, coding, length } = heads::read_response(bytes, self.is_head)?;
        if self.is_websocket && message.status() == StatusCode::SWITCHING_PROTOCOLS {
            websocket::translate_switching_protocols(&mut message);
            let stream = self.respond.send_response(message, false).map_err(io::Error::other)?;
            self.response = ResponseState::Body(OutboundBody::new(stream, Coding::Raw));
            return Ok(length);
        }
        if message.status().is_informational() {
            self.respond.send_informational(message).map_err(io::Error::other)?;
            return Ok(length);
        }
        if self.is_grpc && grpc::explain(&mut message) {
            self.respond.send_response(message, true).map_err(io::Error::other)?;
            self.response = ResponseState::Complete;
            return Ok(length);
        }
        // A response without a body is sent in one frame, as "Trailers-Only" of gRPC requires.
        let is_empty = bytes[length..] == *b"0\r\n\r\n" && coding == Coding::chunked();
        let is_end = coding == Coding::NONE || is_empty;
        let stream = self.respond.send_response(message, is_end).map_err(io::Error::other)?;
        let coding = if is_empty { Coding::NONE } else { coding };
        self.response = ResponseState::Body(OutboundBody::new(stream, coding));
        Ok(if is_empty { bytes.len() } else { length })
    }
}

impl AsyncRead for Stream {
    /// Reads the body. After its end a read fails when the caller resets the stream.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.body.is_done() {
            let read = ready!(this.body.poll_read(cx, buf));
            if read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidData) {
                // RFC 9113 §8.1.1.
                this.reset(Reason::PROTOCOL_ERROR);
            }
            return Poll::Ready(read);
        }
        let reason = ready!(match &mut this.response {
            ResponseState::Pending => this.respond.poll_reset(cx),
            ResponseState::Body(body) => body.poll_reset(cx),
            ResponseState::Complete => Poll::Pending,
        });
        Poll::Ready(Err(io::Error::other(reason.map_or_else(|error| error, h2::Error::from))))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let head = match this.response {
            ResponseState::Pending => this.send_head(bytes)?,
            _ => 0,
        };
        let content = &bytes[head..];
        match &mut this.response {
            ResponseState::Body(body) if !content.is_empty() => match body.poll_write(cx, content) {
                Poll::Ready(Ok(count)) => Poll::Ready(Ok(head + count)),
                Poll::Pending if head > 0 => Poll::Ready(Ok(head)),
                other => other,
            },
            ResponseState::Pending | ResponseState::Body(_) => Poll::Ready(Ok(head)),
            ResponseState::Complete => Poll::Ready(Ok(bytes.len())),
        }
    }

    /// Does nothing: the connection's task writes the frames.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends the bytes of a WebSocket. Every other response has a framing that ends it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match &mut self.get_mut().response {
            ResponseState::Body(body) => body.finish(),
            ResponseState::Pending | ResponseState::Complete => Ok(()),
        })
    }
}
