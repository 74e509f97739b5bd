//! A caller's connection whose bytes an [`Inspector`] reads before the `h2` crate.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::delegate::delegate_write;
use crate::proto::http2::{Findings, Inspector};
use crate::proxy::wire::relay::Io;

/// A connection that is inspected while it is read.
pub(crate) struct Inspected<I> {
    io: I,
    inspector: Inspector,
    findings: Arc<Findings>,
    /// Whether the connection's task was woken because of a flood.
    is_woken: bool,
}

impl<I: Io> Inspected<I> {
    /// `io` has not been read yet. What is found is in `findings`.
    pub(crate) fn new(io: I, findings: Arc<Findings>) -> Self {
        Self { io, inspector: Inspector::new(findings.clone()), findings, is_woken: false }
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
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        this.inspector.inspect(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<I: Io> AsyncWrite for Inspected<I> {
    delegate_write!(io);
}
