//! The streams of one connection, and the frames that are to be written.

use std::collections::VecDeque;

use h2::Reason;

use super::peer::Peer;
use super::receive_window::ReceiveWindow;
use super::slot::{Failure, Slot};
use super::turns::Turns;
use crate::net::buffer::Buffer;
use crate::proto::http2::frame::{self, DEFAULT_WINDOW, setting};
use crate::proto::http2::limits::{
    CONNECTION_WINDOW, MAX_FRAME, MAX_HEAD, MAX_LOCAL_RESETS, REMEMBERED_RESETS, STREAM_WINDOW,
};

/// The limit on the bytes that are to be written. At the limit, streams wait, and nothing is read from the caller.
const MAX_UNWRITTEN: usize = 32 * 1024;
/// Number of streams for which memory is kept while there are none.
const KEPT_SLOTS: usize = 8;

/// The streams of a connection. A stream has a slot from its head until its future has ended.
pub(crate) struct Streams {
    /// The stream of each slot; 0 if it is free.
    pub(super) ids: Vec<u32>,
    pub(super) slots: Vec<Slot>,
    free: Vec<usize>,
    /// The limit on slots.
    limit: usize,
    /// Frames that are to be written.
    out: Option<Buffer>,
    /// What may be sent on all streams.
    pub(super) send_window: i64,
    pub(super) receive_window: ReceiveWindow,
    pub(super) peer: Peer,
    pub(super) turns: Turns,
    /// Streams that were reset, so that frames that were sent before that are not an error.
    recent_resets: VecDeque<u32>,
    /// Number of streams that were reset because of the caller.
    local_resets: usize,
}

impl Streams {
    /// A connection with `max_streams` streams at a time. Its settings are to be written.
    pub(crate) fn new(max_streams: u32) -> Self {
        let mut streams = Self {
            ids: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            limit: max_streams as usize,
            out: None,
            send_window: i64::from(DEFAULT_WINDOW),
            receive_window: ReceiveWindow::new(CONNECTION_WINDOW),
            peer: Peer::default(),
            turns: Turns::default(),
            recent_resets: VecDeque::new(),
            local_resets: 0,
        };
        let settings = [
            (setting::MAX_CONCURRENT_STREAMS, max_streams),
            (setting::INITIAL_WINDOW_SIZE, STREAM_WINDOW),
            (setting::MAX_FRAME_SIZE, MAX_FRAME),
            (setting::MAX_HEADER_LIST_SIZE, MAX_HEAD),
            (setting::ENABLE_CONNECT_PROTOCOL, 1),
        ];
        frame::put_settings(streams.out(), &settings);
        frame::put_window_update(streams.out(), 0, (CONNECTION_WINDOW - DEFAULT_WINDOW) as usize);
        streams
    }

    /// The frames that are to be written, to append to.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        self.out.get_or_insert_with(Buffer::acquire).bytes_mut()
    }

    /// Takes the frames that are to be written.
    pub(crate) fn take_out(&mut self) -> Option<Buffer> {
        self.out.take()
    }

    /// Whether so much is to be written that nothing more should be caused.
    pub(crate) fn is_out_full(&self) -> bool {
        self.out.as_ref().is_some_and(|out| out.filled().len() >= MAX_UNWRITTEN)
    }

    /// Whether there is no stream.
    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.ids.len()
    }

    /// Says which stream is the last one, and why (RFC 9113 §6.8).
    pub(crate) fn go_away(&mut self, last_stream: u32, reason: Reason) {
        frame::put_go_away(self.out(), last_stream, reason);
    }

    /// Begins a turn: streams that wait and can go on are woken.
    pub(crate) fn begin_turn(&mut self) {
        if !self.is_out_full() {
            self.turns.begin(&mut self.slots, self.send_window > 0);
        }
    }

    /// Whether a stream waits that could go on.
    pub(crate) fn is_turn_due(&self) -> bool {
        !self.is_out_full() && self.turns.is_due(&self.slots, self.send_window > 0)
    }

    /// The slot of a stream.
    pub(super) fn find(&self, stream: u32) -> Option<usize> {
        self.ids.iter().position(|id| *id == stream)
    }

    /// A stream.
    pub(super) fn slot(&mut self, index: usize) -> &mut Slot {
        &mut self.slots[index]
    }

    /// Opens a stream; `None` if there are as many as there may be.
    pub(super) fn open(&mut self, stream: u32, is_end: bool, content_length: Option<u64>) -> Option<usize> {
        let slot = Slot::new(is_end, content_length, self.peer.initial_window);
        if let Some(index) = self.free.pop() {
            (self.ids[index], self.slots[index]) = (stream, slot);
            return Some(index);
        }
        if self.ids.len() >= self.limit {
            return None;
        }
        if self.slots.is_empty() {
            // Many connections have one stream at a time. `push` would make room for four.
            self.slots.reserve_exact(1);
        }
        self.ids.push(stream);
        self.slots.push(slot);
        Some(self.ids.len() - 1)
    }

    /// The caller resets a stream.
    pub(super) fn reset_by_caller(&mut self, index: usize, reason: Reason) {
        self.end(index, Failure::Reset(reason));
    }

    /// Resets a stream because of what the caller sent. Fails if there were too many of them.
    pub(super) fn fail(&mut self, index: usize, reason: Reason) -> Result<(), Reason> {
        self.end(index, Failure::Reset(reason));
        self.reject(self.ids[index], reason)
    }

    /// Resets a stream that has no slot because of what the caller sent. Fails if there were too many of them.
    pub(super) fn reject(&mut self, stream: u32, reason: Reason) -> Result<(), Reason> {
        self.put_reset(stream, reason);
        self.local_resets += 1;
        if self.local_resets > MAX_LOCAL_RESETS { Err(Reason::ENHANCE_YOUR_CALM) } else { Ok(()) }
    }

    /// Resets a stream that came after the last one.
    pub(super) fn refuse(&mut self, stream: u32) {
        self.put_reset(stream, Reason::REFUSED_STREAM);
    }

    /// A frame came for a stream that has ended.
    pub(super) fn late_frame(&mut self, stream: u32) -> Result<(), Reason> {
        if self.is_recent_reset(stream) { Ok(()) } else { self.reject(stream, Reason::STREAM_CLOSED) }
    }

    /// Whether this side has reset a stream lately.
    pub(super) fn is_recent_reset(&self, stream: u32) -> bool {
        self.recent_resets.contains(&stream)
    }

    /// Resets a stream, if it has not ended.
    pub(super) fn reset(&mut self, index: usize, reason: Reason) {
        let slot = &self.slots[index];
        let has_ended = slot.has_failed() || slot.is_end && slot.is_response_complete;
        if !has_ended {
            self.put_reset(self.ids[index], reason);
            self.end(index, Failure::Reset(reason));
        }
    }

    /// The future of a stream has ended. A request that is not complete is reset: with NO_ERROR, if its response is
    /// (RFC 9113 §8.1).
    pub(super) fn release(&mut self, index: usize) {
        let reason = if self.slots[index].is_response_complete { Reason::NO_ERROR } else { Reason::CANCEL };
        self.reset(index, reason);
        self.end(index, Failure::Ended);
        (self.ids[index], self.slots[index]) = (0, Slot::default());
        self.free.push(index);
        if self.is_empty() && self.ids.len() > KEPT_SLOTS {
            (self.ids, self.slots, self.free) = Default::default();
            self.turns = Turns::default();
        }
    }

    fn end(&mut self, index: usize, failure: Failure) {
        if let Some(unread) = self.slots[index].fail(failure) {
            self.acknowledge_connection(unread);
        }
    }

    fn put_reset(&mut self, stream: u32, reason: Reason) {
        frame::put_reset(self.out(), stream, reason);
        if self.recent_resets.len() >= REMEMBERED_RESETS {
            self.recent_resets.pop_front();
        }
        self.recent_resets.push_back(stream);
    }
}
