//! One stream of a connection.

use std::io;
use std::task::{Context, Waker};

use h2::Reason;

use super::receive_window::ReceiveWindow;
use crate::net::buffer::Buffer;
use crate::proto::http2::limits::STREAM_WINDOW;

/// One stream.
#[derive(Default)]
pub(super) struct Slot {
    /// Content that has come and is not read yet.
    pub(super) received: Option<Buffer>,
    /// The trailer section, as lines.
    pub(super) trailers: Vec<u8>,
    /// Whether the request is complete.
    pub(super) is_end: bool,
    /// What is to come of a content whose length is known.
    pub(super) content_left: Option<u64>,
    /// What the caller may send.
    pub(super) receive_window: ReceiveWindow,
    /// What may be sent.
    pub(super) send_window: i64,
    pub(super) is_response_complete: bool,
    pub(super) turn: Turn,
    failure: Option<Failure>,
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

/// Why nothing more comes and goes on a stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Failure {
    Reset(Reason),
    /// The future of the stream has ended.
    Ended,
}

impl Slot {
    /// A stream whose head has come. `is_end`: nothing follows it.
    pub(super) fn new(is_end: bool, content_left: Option<u64>, send_window: i64) -> Self {
        Self {
            is_end,
            content_left,
            receive_window: ReceiveWindow::new(STREAM_WINDOW),
            send_window,
            ..Self::default()
        }
    }

    /// Ends the stream. Returns what was not read of it; `None` if it had ended before.
    pub(super) fn fail(&mut self, failure: Failure) -> Option<usize> {
        if self.failure.is_some() {
            return None;
        }
        self.failure = Some(failure);
        self.wake_reader();
        self.wake_writer();
        Some(self.received.take().map_or(0, |received| received.filled().len()))
    }

    /// Whether the stream was reset.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Fails if the stream was reset.
    pub(super) fn check(&self) -> io::Result<()> {
        match self.failure {
            None => Ok(()),
            Some(Failure::Reset(reason)) => Err(io::Error::other(h2::Error::from(reason))),
            Some(Failure::Ended) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Waits for more of the request, or for its reset.
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
