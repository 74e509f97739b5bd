//! One stream, for the future that serves it.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::ReadBuf;

use super::body_coding::BodyCoding;
use super::streams::Streams;
use crate::proto::http2::response_head::{ResponseContext, ResponseHead};
use crate::proto::http2::upstream_request::{RequestContext, UpstreamRequest};
use crate::proto::http2::{BodySink, Reason};

/// A stream. When it is dropped, the stream ends: it is reset if its request or its response is not complete.
pub(crate) struct StreamHandle {
    pub(super) streams: Arc<Mutex<Streams>>,
    pub(super) slot: usize,
}

impl StreamHandle {
    pub(super) fn new(streams: &Arc<Mutex<Streams>>, slot: usize) -> Self {
        Self { streams: streams.clone(), slot }
    }

    /// Reserves a stream for a request; `None` if there can be no more.
    pub(crate) fn reserve(streams: &Arc<Mutex<Streams>>) -> Option<Self> {
        let slot = streams.lock().reserve()?;
        Some(Self::new(streams, slot))
    }

    /// Waits until a head can be written; fails if the stream was reset.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.with(|streams| streams.poll_room(self.slot, cx))
    }

    /// Sends the HTTP/1.1 head of a request at the front of `bytes`.
    pub(crate) fn send_request(&self, bytes: &[u8], context: &RequestContext) -> io::Result<UpstreamRequest> {
        self.with(|streams| streams.send_request(self.slot, bytes, context))
    }

    /// Sends the HTTP/1.1 head of a response at the front of `bytes`, and an empty body behind it.
    pub(crate) fn send_response(&self, bytes: &[u8], context: ResponseContext) -> io::Result<ResponseHead> {
        self.with(|streams| streams.send_response(self.slot, bytes, context))
    }

    /// Reads heads of a response. Returns the coding of the body behind the final one, once all of the head was read.
    pub(crate) fn poll_read_heads(
        &self,
        cx: &Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<BodyCoding>>> {
        let mut streams = self.streams.lock();
        let slot = streams.slot(self.slot);
        let Some(heads) = slot.heads.as_mut().filter(|_| !slot.response.must_be_empty || slot.is_end) else {
            slot.check()?;
            slot.wait_to_read(cx);
            return Poll::Pending;
        };
        let count = heads.filled().len().min(buf.remaining());
        buf.put_slice(&heads.filled()[..count]);
        heads.consume(count);
        let is_whole = heads.is_empty();
        if is_whole {
            slot.heads = None;
        }
        Poll::Ready(Ok(slot.response.coding.filter(|_| is_whole)))
    }

    /// Does something with the streams, and wakes the connection's task if that has something to do then.
    fn with<T>(&self, action: impl FnOnce(&mut Streams) -> T) -> T {
        let mut streams = self.streams.lock();
        let outcome = action(&mut streams);
        streams.wake_task();
        outcome
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
        self.with(|streams| streams.reset(self.slot, reason));
    }
}

impl BodySink for &StreamHandle {
    fn poll_send(&mut self, cx: &mut Context<'_>, content: &[u8], is_last: bool) -> Poll<io::Result<usize>> {
        self.with(|streams| streams.poll_send(self.slot, cx, content, is_last))
    }

    fn send_trailers(&mut self, section: &[u8]) -> io::Result<()> {
        self.with(|streams| streams.send_trailers(self.slot, section))
    }
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        self.with(|streams| streams.release(self.slot));
    }
}
