//! The streams of one connection, and the frames that are to be written.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use super::error::StreamError;
use super::peer::Peer;
use super::receive_window::ReceiveWindow;
use super::slot::Slot;
use super::turns::Turns;
use crate::net::buffer::Buffer;
use crate::proto::http2::Reason;
use crate::proto::http2::frame::{self, DEFAULT_WINDOW, MAX_STREAM, PREFACE, kind, setting};
use crate::proto::http2::limits::{
    CONNECTION_WINDOW, MAX_FRAME, MAX_HEAD, MAX_LOCAL_RESETS, REMEMBERED_RESETS, STREAM_WINDOW,
    UPSTREAM_CONNECTION_WINDOW,
};

/// The limit on the bytes that are to be written, at which streams wait.
const MAX_UNWRITTEN: usize = 32 * 1024;
/// The content of the PING by which this side finds out whether the peer responds.
const LIVENESS_PING: [u8; 8] = *b"respond?";
/// Number of streams for which memory is kept while there are none.
const KEPT_SLOTS: usize = 8;

/// Which side of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

/// Whether the peer responds, as far as a stream had reason to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Liveness {
    Confirmed,
    PingDue,
    PingSent,
}

/// The streams of a connection. A stream of a server has a slot from its head until its future has ended; one of a client has it
/// from before its head is sent.
pub(crate) struct Streams {
    side: Side,
    /// The stream of each slot; 0 if it is free, or if its head was not sent yet.
    pub(super) ids: Vec<u32>,
    pub(super) slots: Vec<Slot>,
    free: Vec<usize>,
    /// The limit on the number of slots.
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
    /// Number of streams that were reset because of the peer.
    local_resets: usize,
    /// The largest stream that was opened.
    pub(super) last_stream: u32,
    /// The task of a client's connection, until it is woken. That of a server's runs the futures of the streams itself.
    task: Option<Waker>,
    liveness: Liveness,
    /// Whether no further streams will be opened by this side.
    is_abandoned: bool,
}

impl Streams {
    /// A connection from a caller, with `max_streams` streams at a time. Its settings are to be written.
    pub(crate) fn server(max_streams: u32) -> Self {
        let mut streams = Self::new(Side::Server, max_streams as usize, CONNECTION_WINDOW);
        streams.begin(&[
            (setting::MAX_CONCURRENT_STREAMS, max_streams),
            (setting::INITIAL_WINDOW_SIZE, STREAM_WINDOW),
            (setting::MAX_FRAME_SIZE, MAX_FRAME),
            (setting::MAX_HEADER_LIST_SIZE, MAX_HEAD),
            (setting::ENABLE_CONNECT_PROTOCOL, 1),
        ]);
        streams
    }

    /// A connection to an upstream, whose heads have at most the size `max_head`. Its preface is to be written.
    pub(crate) fn client(max_head: u32) -> Self {
        let mut streams = Self::new(Side::Client, usize::MAX, UPSTREAM_CONNECTION_WINDOW);
        streams.out().extend_from_slice(PREFACE);
        streams.begin(&[
            (setting::ENABLE_PUSH, 0),
            (setting::INITIAL_WINDOW_SIZE, STREAM_WINDOW),
            (setting::MAX_FRAME_SIZE, MAX_FRAME),
            (setting::MAX_HEADER_LIST_SIZE, max_head),
        ]);
        streams
    }

    fn new(side: Side, limit: usize, window: u32) -> Self {
        Self {
            side,
            ids: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            limit,
            out: None,
            send_window: i64::from(DEFAULT_WINDOW),
            receive_window: ReceiveWindow::new(window),
            peer: Peer::default(),
            turns: Turns::default(),
            recent_resets: VecDeque::new(),
            local_resets: 0,
            last_stream: 0,
            task: None,
            liveness: Liveness::Confirmed,
            is_abandoned: false,
        }
    }

    fn begin(&mut self, settings: &[(u16, u32)]) {
        frame::put_settings(self.out(), settings);
        let window = self.receive_window.size() - DEFAULT_WINDOW as usize;
        frame::put_window_update(self.out(), 0, window);
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
        self.unwritten() >= MAX_UNWRITTEN
    }

    /// The number of bytes that are to be written.
    pub(super) fn unwritten(&self) -> usize {
        self.out.as_ref().map_or(0, |out| out.filled().len())
    }

    /// Whether there is no stream.
    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.ids.len()
    }

    /// Says that what is to be written so far holds a credential.
    pub(super) fn mark_secret(&mut self) {
        if let Some(out) = &mut self.out {
            out.mark_secret();
        }
    }

    /// Whether there is no stream, and this side will open none.
    pub(super) fn is_over(&self) -> bool {
        self.is_empty() && (self.is_abandoned || self.next_stream().is_none())
    }

    /// Whether this side may open a stream, while `active` are open or will be.
    pub(crate) fn has_capacity(&self, active: usize) -> bool {
        self.peer.has_settings
            && self.liveness == Liveness::Confirmed
            && self.next_stream().is_some()
            && active < self.peer.max_streams
    }

    /// Whether this side may open streams, if not now.
    pub(crate) fn is_open(&self) -> bool {
        self.next_stream().is_some()
    }

    /// Says which stream of the peer is the last one, and why the connection ends (RFC 9113 §6.8).
    pub(crate) fn go_away(&mut self, reason: Reason) {
        let last_stream = if self.side == Side::Server { self.last_stream } else { 0 };
        frame::put_go_away(self.out(), last_stream, reason);
    }

    /// Waits for [`wake_task`](Self::wake_task).
    pub(super) fn wait_for_work(&mut self, cx: &Context<'_>) {
        match &mut self.task {
            Some(task) => task.clone_from(cx.waker()),
            None => self.task = Some(cx.waker().clone()),
        }
    }

    /// Wakes the connection's task, if there is something to do for it.
    pub(super) fn wake_task(&mut self) {
        if self.task.is_none() {
            return;
        }
        let has_work = self.out.is_some()
            || self.liveness == Liveness::PingDue
            || self.is_abandoned
            || self.is_turn_due();
        if has_work && let Some(task) = self.task.take() {
            task.wake();
        }
    }

    /// Has a PING sent, to find out whether the peer responds (RFC 9113 §6.7). Until it is acknowledged, the connection has no
    /// capacity for another stream.
    pub(crate) fn request_ping(&mut self) {
        if self.liveness == Liveness::Confirmed {
            self.liveness = Liveness::PingDue;
            self.wake_task();
        }
    }

    /// Sends the PING that was requested, if it was not sent yet.
    pub(super) fn send_requested_ping(&mut self) {
        if self.liveness == Liveness::PingDue {
            self.liveness = Liveness::PingSent;
            frame::put(self.out(), kind::PING, 0, 0, &LIVENESS_PING);
        }
    }

    /// Takes the acknowledgement of a PING.
    pub(super) fn ping_acknowledged(&mut self, content: [u8; 8]) {
        if content == LIVENESS_PING && self.liveness == Liveness::PingSent {
            self.liveness = Liveness::Confirmed;
        }
    }

    /// Whether a PING was sent and is not acknowledged.
    pub(super) fn awaits_ping(&self) -> bool {
        self.liveness == Liveness::PingSent
    }

    /// Says that this side opens no further streams: the connection ends when those that are open have.
    pub(crate) fn abandon(&mut self) {
        self.is_abandoned = true;
        self.wake_task();
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

    /// Whether the head of the message that comes has not come yet.
    pub(super) fn is_before_head(&self, index: usize) -> bool {
        self.side == Side::Client && self.slots[index].response.coding.is_none()
    }

    /// The slot of a stream.
    pub(super) fn find(&self, stream: u32) -> Option<usize> {
        self.ids.iter().position(|id| *id == stream)
    }

    /// A stream.
    pub(super) fn slot(&mut self, index: usize) -> &mut Slot {
        &mut self.slots[index]
    }

    /// Whether the peer has never heard of a stream, and this side not of it either.
    pub(super) fn is_idle(&self, stream: u32) -> bool {
        stream > self.last_stream || stream.is_multiple_of(2)
    }

    /// Opens a stream of the peer; `None` if there are as many as there may be.
    pub(super) fn open(&mut self, stream: u32, is_end: bool, content_length: Option<u64>) -> Option<usize> {
        self.add(stream, Slot::incoming(is_end, content_length, self.peer.initial_window))
    }

    /// Reserves a stream to the peer, whose head is not sent yet.
    pub(super) fn reserve(&mut self) -> Option<usize> {
        self.add(0, Slot::outgoing(self.peer.initial_window))
    }

    /// The number of the next stream to the peer; `None` if there can be no more.
    pub(super) fn next_stream(&self) -> Option<u32> {
        let next = if self.last_stream == 0 { 1 } else { self.last_stream + 2 };
        (next <= MAX_STREAM && !self.peer.is_going_away).then_some(next)
    }

    /// Opens a stream that was reserved.
    pub(super) fn open_outgoing(&mut self, index: usize, stream: u32) {
        self.last_stream = stream;
        self.ids[index] = stream;
        self.slots[index].send_window = self.peer.initial_window;
    }

    fn add(&mut self, stream: u32, slot: Slot) -> Option<usize> {
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

    /// The peer resets a stream.
    pub(super) fn reset_by_peer(&mut self, index: usize, reason: Reason) {
        self.end(index, StreamError::ResetByPeer(reason));
    }

    /// The peer ends the connection. Streams that were opened after `last_stream` are not processed (RFC 9113 §6.8).
    pub(super) fn end_by_peer(&mut self, last_stream: u32, reason: Reason) {
        self.peer.is_going_away = true;
        for index in 0..self.ids.len() {
            if self.ids[index] == 0 || self.ids[index] > last_stream {
                self.end(index, StreamError::Unprocessed(reason));
            }
        }
    }

    /// The connection has ended: so have all streams.
    pub(super) fn fail_all(&mut self, failure: StreamError) {
        self.peer.is_going_away = true;
        for index in 0..self.ids.len() {
            self.end(index, failure);
        }
    }

    /// Resets a stream because of what the peer sent. Fails if there were too many of them.
    pub(super) fn fail(&mut self, index: usize, reason: Reason) -> Result<(), Reason> {
        self.end(index, StreamError::Reset(reason));
        self.reject(self.ids[index], reason)
    }

    /// Resets a stream that has no slot because of what the peer sent. Fails if there were too many of them.
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
        if self.may_be_late(stream) { Ok(()) } else { self.reject(stream, Reason::STREAM_CLOSED) }
    }

    /// Whether a frame for a stream that has ended may have been sent before the peer could know of the end: this side has reset
    /// the stream lately. A client may have reset any number of them, because callers went away.
    pub(super) fn may_be_late(&self, stream: u32) -> bool {
        self.side == Side::Client || self.recent_resets.contains(&stream)
    }

    /// Resets a stream, if it has not ended.
    pub(super) fn reset(&mut self, index: usize, reason: Reason) {
        let slot = &self.slots[index];
        let has_ended = slot.has_failed() || slot.is_end && slot.is_sent;
        if !has_ended && self.ids[index] != 0 {
            self.put_reset(self.ids[index], reason);
            self.end(index, StreamError::Reset(reason));
        }
    }

    /// The future of a stream has ended. A request that is not complete is reset: by a server with NO_ERROR, if its response is
    /// (RFC 9113 §8.1).
    pub(super) fn release(&mut self, index: usize) {
        let is_answered = self.side == Side::Server && self.slots[index].is_sent;
        self.reset(index, if is_answered { Reason::NO_ERROR } else { Reason::CANCEL });
        let unread = self.slots[index].drop_received();
        self.acknowledge_connection(unread);
        (self.ids[index], self.slots[index]) = (0, Slot::default());
        self.free.push(index);
        if self.is_empty() && self.ids.len() > KEPT_SLOTS {
            (self.ids, self.slots, self.free) = Default::default();
            self.turns = Turns::default();
        }
    }

    fn end(&mut self, index: usize, failure: StreamError) {
        let unread = self.slots[index].fail(failure);
        self.acknowledge_connection(unread);
    }

    fn put_reset(&mut self, stream: u32, reason: Reason) {
        frame::put_reset(self.out(), stream, reason);
        if self.recent_resets.len() >= REMEMBERED_RESETS {
            self.recent_resets.pop_front();
        }
        self.recent_resets.push_back(stream);
    }
}
