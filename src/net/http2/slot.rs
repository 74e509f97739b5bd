//! One stream of a connection.

use std::io;
use std::task::{Context, Waker};

use super::body_coding::BodyCoding;
use super::error::StreamError;
use super::receive_window::ReceiveWindow;
use crate::net::buffer::Buffer;
use crate::proto::http2::limits::STREAM_WINDOW;

/// One stream.
#[derive(Default)]
pub(super) struct Slot {
    /// Heads of a response that have come and are not read yet, as those of HTTP/1.1.
    pub(super) heads: Option<Buffer>,
    /// What is known of the response.
    pub(super) response: ResponseState,
    /// Content that has come and is not read yet.
    pub(super) received: Option<Buffer>,
    /// The trailer section, as lines.
    pub(super) trailers: Vec<u8>,
    /// Whether the message that comes is complete.
    pub(super) is_end: bool,
    /// What is to come of a content whose length is known.
    pub(super) content_left: Option<u64>,
    /// What the peer may send.
    pub(super) receive_window: ReceiveWindow,
    /// What may be sent.
    pub(super) send_window: i64,
    /// Whether the message that is sent is complete.
    pub(super) is_sent: bool,
    pub(super) turn: Turn,
    failure: Option<StreamError>,
    /// Whether what came before a failure can still be read.
    keeps_received: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The part of a stream in the [turns](super::turns) of the connection.
#[derive(Default)]
pub(super) struct Turn {
    /// The turn in which the stream sent last.
    pub(super) sent_in: u64,
    pub(super) is_waiting: bool,
    /// Whether the stream waits for the window of the connection.
    pub(super) needs_window: bool,
}

/// What is known of the response that comes on a stream to an upstream.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ResponseState {
    /// Whether the request was a `HEAD`.
    pub(super) to_head: bool,
    /// The coding of its body; `None` until its head has come.
    pub(super) coding: Option<BodyCoding>,
    /// Whether the head must not be read before the stream has ended, because it says that there is no content.
    pub(super) must_be_empty: bool,
}

impl Slot {
    /// The stream of a request that has come. `is_end`: nothing follows its head.
    pub(super) fn incoming(is_end: bool, content_left: Option<u64>, send_window: i64) -> Self {
        Self { is_end, content_left, ..Self::new(send_window) }
    }

    /// The stream of a request that will be sent.
    pub(super) fn outgoing(send_window: i64) -> Self {
        Self { keeps_received: true, ..Self::new(send_window) }
    }

    fn new(send_window: i64) -> Self {
        Self { receive_window: ReceiveWindow::new(STREAM_WINDOW), send_window, ..Self::default() }
    }

    /// Ends the stream, if it has not ended. Returns how much content is dropped.
    pub(super) fn fail(&mut self, failure: StreamError) -> usize {
        if self.failure.is_some() {
            return 0;
        }
        self.failure = Some(failure);
        self.wake_reader();
        self.wake_writer();
        if self.keeps_received { 0 } else { self.drop_received() }
    }

    /// Drops the content that was not read; returns its length.
    pub(super) fn drop_received(&mut self) -> usize {
        self.received.take().map_or(0, |received| received.filled().len())
    }

    /// Whether the stream was reset.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Fails if the stream was reset.
    pub(super) fn check(&self) -> io::Result<()> {
        self.failure.map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Fails if the stream was reset and nothing can be read of it any more.
    pub(super) fn check_read(&self) -> io::Result<()> {
        if self.keeps_received && (self.is_end || self.received.is_some()) { Ok(()) } else { self.check() }
    }

    /// Waits for more of the message, or for a reset.
    pub(super) fn wait_to_read(&mut self, cx: &Context<'_>) {
        set(&mut self.reader, cx);
    }

    /// Waits until more can be sent.
    pub(super) fn wait_to_write(&mut self, cx: &Context<'_>) {
        set(&mut self.writer, cx);
    }

    pub(super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// Wakes a writer that waits for the window of the stream. One that waits for its turn is woken by that.
    pub(super) fn window_changed(&mut self) {
        if !self.turn.is_waiting && self.send_window > 0 {
            self.wake_writer();
        }
    }
}

fn set(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}
