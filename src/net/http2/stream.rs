//! One stream, for the future that serves it.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use h2::Reason;
use parking_lot::Mutex;

use super::streams::Streams;
use crate::proto::http2::BodySink;
use crate::proto::http2::response_head::{ResponseContext, ResponseHead};

/// A stream. When it is dropped, the stream ends: it is reset if its request or its response is not complete.
pub(crate) struct StreamHandle {
    pub(super) streams: Arc<Mutex<Streams>>,
    pub(super) slot: usize,
}

impl StreamHandle {
    pub(super) fn new(streams: &Arc<Mutex<Streams>>, slot: usize) -> Self {
        Self { streams: streams.clone(), slot }
    }

    /// Waits until a head can be written; fails if the stream was reset.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.streams.lock().poll_room(self.slot, cx)
    }

    /// Sends the HTTP/1.1 head at the front of `bytes`, and an empty body behind it.
    pub(crate) fn send_head(&self, bytes: &[u8], context: ResponseContext) -> io::Result<ResponseHead> {
        self.streams.lock().send_head(self.slot, bytes, context)
    }

    /// Waits for the end of the stream before the end of its response: a reset, or the end of the connection.
    pub(crate) fn poll_failure(&self, cx: &Context<'_>) -> Poll<io::Error> {
        let mut streams = self.streams.lock();
        let slot = streams.slot(self.slot);
        if let Err(error) = slot.check() {
            return Poll::Ready(error);
        }
        slot.wait_to_read(cx);
        Poll::Pending
    }

    /// Whether the request ends without content. Nothing was read of its body before.
    pub(crate) async fn is_empty(&self) -> bool {
        poll_fn(|cx| {
            let mut streams = self.streams.lock();
            let slot = streams.slot(self.slot);
            if slot.check().is_err() || slot.received.is_some() {
                return Poll::Ready(false);
            }
            if slot.is_end {
                return Poll::Ready(true);
            }
            slot.wait_to_read(cx);
            Poll::Pending
        })
        .await
    }

    /// Reads and discards the rest of the request, `limit` bytes at most.
    ///
    /// Some callers (curl before 8.0) lose a response that arrives early if their stream is reset before they
    /// have sent all of a small body.
    pub(crate) async fn discard(&self, limit: usize) {
        let mut discarded = 0;
        poll_fn(|cx| {
            let mut streams = self.streams.lock();
            let received = streams.slot(self.slot).received.take();
            let count = received.map_or(0, |received| received.filled().len());
            discarded += count;
            streams.acknowledge(self.slot, count);
            let slot = streams.slot(self.slot);
            if discarded > limit || slot.is_end || slot.check().is_err() {
                return Poll::Ready(());
            }
            slot.wait_to_read(cx);
            Poll::Pending
        })
        .await;
    }

    /// Resets the stream, if it has not ended.
    pub(crate) fn reset(&self, reason: Reason) {
        self.streams.lock().reset(self.slot, reason);
    }
}

impl BodySink for &StreamHandle {
    fn poll_send(&mut self, cx: &mut Context<'_>, content: &[u8], is_last: bool) -> Poll<io::Result<usize>> {
        self.streams.lock().poll_send(self.slot, cx, content, is_last)
    }

    fn send_trailers(&mut self, section: &[u8]) -> io::Result<()> {
        self.streams.lock().send_trailers(self.slot, section)
    }
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        self.streams.lock().release(self.slot);
    }
}
