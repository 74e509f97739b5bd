//! A caller's connection whose bytes an [`Inspector`] reads before the `h2` crate.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::delegate::delegate_write;
use crate::proto::http2::{Findings, Inspector};
use crate::proxy::wire::relay::Io;

/// Bytes that are read at once from a caller that sends frames without content: a hundred frames.
const SMALL_READ: usize = 1024;

/// A connection that is inspected while it is read.
pub(crate) struct Inspected<I> {
    io: I,
    inspector: Inspector,
    findings: Arc<Findings>,
    /// Whether the connection's task was woken because of a flood, to end it.
    is_woken: bool,
    /// Whether other connections had their turn since the last read.
    has_paused: bool,
}

impl<I: Io> Inspected<I> {
    /// `io` has not been read yet. What is found is in `findings`.
    pub(crate) fn new(io: I, findings: Arc<Findings>) -> Self {
        let inspector = Inspector::new(findings.clone());
        Self { io, inspector, findings, is_woken: false, has_paused: false }
    }

    /// Reads little, and after every other connection of the worker that is ready.
    fn poll_read_in_turn(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.has_paused, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut bytes = [0; SMALL_READ];
        let length = bytes.len().min(buf.remaining());
        let mut part = ReadBuf::new(&mut bytes[..length]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut part))?;
        self.has_paused = false;
        buf.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl<I: Io> AsyncRead for Inspected<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.findings.is_flood() {
            // Nothing more is read. The connection's task must come back once, to end it.
            if !std::mem::replace(&mut this.is_woken, true) {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if this.inspector.is_in_long_row() {
            ready!(this.poll_read_in_turn(cx, buf))?;
        } else {
            ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        }
        this.inspector.inspect(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<I: Io> AsyncWrite for Inspected<I> {
    delegate_write!(io);
}
