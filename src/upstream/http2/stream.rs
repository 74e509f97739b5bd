//! A stream of a connection to an upstream, as a connection that carries one request.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use h2::client::ResponseFuture;
use http::Method;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{PingHandle, SharedConnection};
use crate::proto::http2::heads;
use crate::proto::http2::heads::Head;
use crate::proto::http2::{Inbound, Outbound};

/// Writing takes a request, reading gives its answers: interim ones, and one that is final.
pub struct Stream {
    connection: Arc<SharedConnection>,
    /// Once its head is out.
    request: Option<Request>,
    /// Of an answer, still to be read.
    head: Vec<u8>,
    head_read: usize,
    body: Option<Inbound>,
}

struct Request {
    body: Outbound,
    answer: ResponseFuture,
    is_head: bool,
}

impl Stream {
    pub(super) fn new(connection: Arc<SharedConnection>) -> Self {
        connection.active.fetch_add(1, Ordering::Relaxed);
        Self { connection, request: None, head: Vec::new(), head_read: 0, body: None }
    }

    /// The other side of its connection.
    pub(in crate::upstream) fn address(&self) -> SocketAddr {
        self.connection.address
    }

    /// For when its connection may be dead.
    pub(in crate::upstream) fn ping_handle(&self) -> PingHandle {
        PingHandle(self.connection.liveness.clone())
    }

    /// Sends a head; returns its length.
    fn begin(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Head { message, coding, length } = heads::read_request(bytes, &self.connection.scheme)?;
        let is_head = message.method() == Method::HEAD;
        let mut send = self.connection.send.clone();
        let (answer, stream) = send.send_request(message, coding.is_done()).map_err(io::Error::other)?;
        self.request = Some(Request { body: Outbound::new(stream, coding), answer, is_head });
        Ok(length)
    }

    /// Waits for a head.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(request) = &mut self.request else { return Poll::Pending };
        self.head.clear();
        self.head_read = 0;
        if let Some(interim) = ready!(request.answer.poll_informational(cx)) {
            let interim = interim.map_err(io::Error::other)?;
            heads::write_response(&mut self.head, &interim, false, false);
            return Poll::Ready(Ok(()));
        }
        let answer = ready!(Pin::new(&mut request.answer).poll(cx)).map_err(io::Error::other)?;
        let (parts, body) = answer.into_parts();
        let length = heads::length(&parts.headers);
        let has_body = !body.is_end_stream();
        let answer = http::Response::from_parts(parts, ());
        heads::write_response(&mut self.head, &answer, has_body, request.is_head);
        self.body = Some(Inbound::new(body, if has_body { length } else { Some(0) }));
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        *self.connection.idle_since.lock() = Instant::now();
        self.connection.active.fetch_sub(1, Ordering::Relaxed);
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
            // What of the body is here already comes with it.
            if let Some(body) = this.body.as_mut().filter(|body| !body.is_done())
                && buf.remaining() > 0
            {
                // An error comes again.
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
        let head = if this.request.is_none() { this.begin(bytes)? } else { 0 };
        match &mut this.request {
            Some(request) if head < bytes.len() => match request.body.poll_write(cx, &bytes[head..]) {
                Poll::Ready(Ok(count)) => Poll::Ready(Ok(head + count)),
                Poll::Pending if head > 0 => Poll::Ready(Ok(head)),
                other => other,
            },
            _ => Poll::Ready(Ok(head)),
        }
    }

    /// What was taken is with the connection, which writes it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
