//! A caller's stream as a connection that carries one request.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Method, StatusCode, request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::grpc;
use crate::proto::http2::heads;
use crate::proto::http2::heads::Head;
use crate::proto::http2::{Coding, InboundBody, OutboundBody, websocket};

/// So much of a request is taken in though nobody wants it.
const UNREAD: usize = 64 * 1024;

/// Reading gives the request's body, writing takes its answers: interim ones, and one that is final.
pub(crate) struct Stream {
    body: InboundBody,
    respond: SendResponse<Bytes>,
    answer: Answer,
    is_head: bool,
    is_grpc: bool,
    is_websocket: bool,
}

enum Answer {
    /// Not begun.
    Open,
    /// Its head is out.
    Body(OutboundBody),
    /// All of it is out with its head; what is still written is not for the wire.
    Whole,
}

impl Stream {
    /// For a request with this head.
    pub(crate) fn new(parts: &request::Parts, body: RecvStream, respond: SendResponse<Bytes>) -> Self {
        let is_websocket = websocket::is_websocket(parts);
        Self {
            body: if is_websocket {
                InboundBody::raw(body)
            } else {
                InboundBody::new(body, heads::length(&parts.headers))
            },
            respond,
            answer: Answer::Open,
            is_head: parts.method == Method::HEAD,
            is_grpc: grpc::is_call(&parts.headers),
            is_websocket,
        }
    }

    /// Takes in what the caller still sends though it was answered, so that it need not be told to stop. Not without end.
    pub(crate) async fn linger(&mut self) {
        self.body.discard(UNREAD).await;
    }

    /// Ends it before its time.
    pub(crate) fn reset(&mut self, reason: Reason) {
        match &mut self.answer {
            Answer::Body(body) => body.reset(reason),
            Answer::Open | Answer::Whole => self.respond.send_reset(reason),
        }
    }

    /// Sends a head; returns its length, with that of an empty body behind it.
    fn head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Head { mut message, coding, length } = heads::read_response(bytes, self.is_head)?;
        if self.is_websocket && message.status() == StatusCode::SWITCHING_PROTOCOLS {
            websocket::translate_switching_protocols(&mut message);
            let stream = self.respond.send_response(message, false).map_err(io::Error::other)?;
            self.answer = Answer::Body(OutboundBody::new(stream, Coding::Raw));
            return Ok(length);
        }
        if message.status().is_informational() {
            self.respond.send_informational(message).map_err(io::Error::other)?;
            return Ok(length);
        }
        if self.is_grpc && grpc::explain(&mut message) {
            self.respond.send_response(message, true).map_err(io::Error::other)?;
            self.answer = Answer::Whole;
            return Ok(length);
        }
        // Nothing follows: one frame says it all, which is what makes a gRPC answer one of "Trailers-Only".
        let ended = bytes[length..] == *b"0\r\n\r\n" && coding == Coding::chunked();
        let whole = coding == Coding::NONE || ended;
        let stream = self.respond.send_response(message, whole).map_err(io::Error::other)?;
        self.answer = Answer::Body(OutboundBody::new(stream, if ended { Coding::NONE } else { coding }));
        Ok(if ended { bytes.len() } else { length })
    }
}

impl AsyncRead for Stream {
    /// Once the body was read there is nothing more to read but the caller's end of the stream.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.body.is_done() {
            return this.body.poll_read(cx, buf);
        }
        let reason = ready!(match &mut this.answer {
            Answer::Open => this.respond.poll_reset(cx),
            Answer::Body(body) => body.poll_reset(cx),
            Answer::Whole => Poll::Pending,
        });
        Poll::Ready(Err(io::Error::other(reason.map_or_else(|error| error, h2::Error::from))))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let head = match this.answer {
            Answer::Open => this.head(bytes)?,
            _ => 0,
        };
        let rest = &bytes[head..];
        match &mut this.answer {
            Answer::Body(body) if !rest.is_empty() => match body.poll_write(cx, rest) {
                Poll::Ready(Ok(count)) => Poll::Ready(Ok(head + count)),
                Poll::Pending if head > 0 => Poll::Ready(Ok(head)),
                other => other,
            },
            Answer::Open | Answer::Body(_) => Poll::Ready(Ok(head)),
            Answer::Whole => Poll::Ready(Ok(bytes.len())),
        }
    }

    /// What was taken is with the connection, which writes it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Every answer says where it ends but what comes after the switch to WebSocket.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match &mut self.get_mut().answer {
            Answer::Body(body) => body.finish(),
            Answer::Open | Answer::Whole => Ok(()),
        })
    }
}
