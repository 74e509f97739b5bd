//! Reads the frames of a caller (RFC 9113 §4, §5, §6).

use std::collections::VecDeque;
use std::sync::Arc;

use h2::Reason;
use parking_lot::Mutex;

use super::flood::FloodGuard;
use super::stream::StreamHandle;
use super::streams::Streams;
use crate::net::buffer::Buffer;
use crate::proto::http2::frame::{self, FrameHeader, HEADER_LENGTH, MAX_WINDOW, flag, kind, setting, u31};
use crate::proto::http2::hpack::Decoder;
use crate::proto::http2::limits::{HEADER_TABLE_SIZE, MAX_FRAME, MAX_HEAD, MAX_PENDING_RESETS};
use crate::proto::http2::request_head::{HeadScratch, RequestHead, RequestWriter, put_trailer};

/// The limit on a field block, in bytes as they are on the wire. A head of the largest size takes less.
const MAX_BLOCK: usize = 2 * MAX_HEAD as usize;
/// The limit on the CONTINUATION frames of a block, which may be empty.
const MAX_CONTINUATIONS: usize = 32;
/// The content of the PING by which a drained connection finds out which streams were still on their way.
const DRAIN_PING: [u8; 8] = *b"drained?";
/// The capacity for blocks in several frames that is kept.
const KEPT_BLOCK: usize = 4096;

/// Reads the frames of one connection, behind its preface.
pub(crate) struct Receiver {
    decoder: Decoder,
    scratch: HeadScratch,
    /// A field block that is not complete.
    block: Vec<u8>,
    open_block: Option<OpenBlock>,
    /// The largest stream that was opened.
    last_stream: u32,
    has_settings: bool,
    flood: FloodGuard,
    /// The requests that have come, and that the connection has not taken yet.
    accepted: VecDeque<Received>,
    /// Number of streams that were reset before they were accepted, less those that were accepted since.
    pending_resets: usize,
    /// Whether the connection is drained, and whether the last stream was said (RFC 9113 §6.8): streams after that are not
    /// served.
    is_draining: bool,
    is_last_said: bool,
}

/// The HEADERS frame of a field block that is not complete.
struct OpenBlock {
    header: FrameHeader,
    is_self_dependent: bool,
    continuations: usize,
}

/// A request that has come, or was rejected.
enum Received {
    Request { slot: usize, buffer: Buffer, head: RequestHead, has_body: bool },
    Rejected(&'static str),
}

/// What comes next of a connection.
pub(crate) enum Accepted {
    /// A request. `buffer` has its head as that of HTTP/1.1. `has_body`: the stream continues after it.
    Request { stream: StreamHandle, buffer: Buffer, head: RequestHead, has_body: bool },
    /// A request that was answered already, and why.
    Rejected(&'static str),
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            decoder: Decoder::new(HEADER_TABLE_SIZE as usize),
            scratch: HeadScratch::default(),
            block: Vec::new(),
            open_block: None,
            last_stream: 0,
            has_settings: false,
            flood: FloodGuard::default(),
            accepted: VecDeque::new(),
            pending_resets: 0,
            is_draining: false,
            is_last_said: false,
        }
    }
}

impl Receiver {
    /// Reads all whole frames at the front of `input`. Fails with the reason for which the connection must end.
    pub(crate) fn receive(&mut self, input: &mut Buffer, streams: &mut Streams) -> Result<(), Reason> {
        while let Some(header) = FrameHeader::read(input.filled()) {
            if header.length > MAX_FRAME as usize {
                return Err(Reason::FRAME_SIZE_ERROR);
            }
            let Some(payload) = input.filled().get(HEADER_LENGTH..HEADER_LENGTH + header.length) else {
                break;
            };
            self.frame(header, payload, streams)?;
            input.consume(HEADER_LENGTH + header.length);
        }
        Ok(())
    }

    /// The next request.
    pub(crate) fn next_accepted(&mut self, streams: &Arc<Mutex<Streams>>) -> Option<Accepted> {
        Some(match self.accepted.pop_front()? {
            Received::Rejected(why) => Accepted::Rejected(why),
            Received::Request { slot, buffer, head, has_body } => {
                self.pending_resets = self.pending_resets.saturating_sub(1);
                Accepted::Request { stream: StreamHandle::new(streams, slot), buffer, head, has_body }
            }
        })
    }

    /// Says that no further streams should be opened (RFC 9113 §6.8). Which ones were on their way is known after a round trip.
    pub(crate) fn begin_drain(&mut self, streams: &mut Streams) {
        self.is_draining = true;
        streams.go_away((1 << 31) - 1, Reason::NO_ERROR);
        frame::put(streams.out(), kind::PING, 0, 0, &DRAIN_PING);
    }

    /// Whether nothing but frames without content came for a while.
    pub(crate) fn is_in_long_row(&self) -> bool {
        self.flood.is_in_long_row()
    }

    /// The largest stream that was opened.
    pub(crate) fn last_stream(&self) -> u32 {
        self.last_stream
    }

    /// Whether a drained connection gets no further requests.
    pub(crate) fn is_last_said(&self) -> bool {
        self.is_last_said
    }

    fn frame(&mut self, header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
        if self
            .open_block
            .as_ref()
            .is_some_and(|open| header.kind != kind::CONTINUATION || header.stream != open.header.stream)
        {
            return Err(Reason::PROTOCOL_ERROR);
        }
        if !self.has_settings {
            // RFC 9113 §3.4: the first frame.
            if header.kind != kind::SETTINGS || header.has(flag::ACK) {
                return Err(Reason::PROTOCOL_ERROR);
            }
            self.has_settings = true;
        }
        if self.flood.is_flood(header) {
            return Err(Reason::ENHANCE_YOUR_CALM);
        }
        match header.kind {
            kind::DATA => self.data(header, payload, streams),
            kind::HEADERS => self.headers(header, payload, streams),
            kind::CONTINUATION => self.continuation(header, payload, streams),
            kind::PRIORITY => self.priority(header, payload, streams),
            kind::RST_STREAM => self.reset(header, payload, streams),
            kind::SETTINGS => settings(header, payload, streams),
            kind::PING => self.ping(header, payload, streams),
            kind::WINDOW_UPDATE => self.window_update(header, payload, streams),
            // A client does not push (RFC 9113 §8.4).
            kind::PUSH_PROMISE => Err(Reason::PROTOCOL_ERROR),
            kind::GOAWAY if header.stream != 0 => Err(Reason::PROTOCOL_ERROR),
            kind::GOAWAY if header.length < 8 => Err(Reason::FRAME_SIZE_ERROR),
            // The caller opens no further streams. Others are ignored (RFC 9113 §5.5).
            _ => Ok(()),
        }
    }

    /// Whether a stream was never opened.
    fn is_idle(&self, stream: u32) -> bool {
        stream > self.last_stream || stream.is_multiple_of(2)
    }

    fn data(&mut self, header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
        if self.is_idle(header.stream) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let content = frame::without_padding(header, payload).ok_or(Reason::PROTOCOL_ERROR)?;
        if content.is_empty() && header.length > 0 && self.flood.is_flood(FrameHeader { length: 0, ..header })
        {
            return Err(Reason::ENHANCE_YOUR_CALM);
        }
        streams.data(header, content)
    }

    fn headers(&mut self, header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
        if header.stream.is_multiple_of(2) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let mut block = frame::without_padding(header, payload).ok_or(Reason::PROTOCOL_ERROR)?;
        let mut is_self_dependent = false;
        if header.has(flag::PRIORITY) {
            let (priority, rest) = block.split_first_chunk::<5>().ok_or(Reason::FRAME_SIZE_ERROR)?;
            is_self_dependent = dependency(*priority) == header.stream;
            block = rest;
        }
        if header.has(flag::END_HEADERS) {
            return self.field_block(header, is_self_dependent, block, streams);
        }
        self.block.clear();
        self.block.extend_from_slice(block);
        self.open_block = Some(OpenBlock { header, is_self_dependent, continuations: 0 });
        Ok(())
    }

    fn continuation(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        streams: &mut Streams,
    ) -> Result<(), Reason> {
        let open = self.open_block.as_mut().ok_or(Reason::PROTOCOL_ERROR)?;
        open.continuations += 1;
        if open.continuations > MAX_CONTINUATIONS || self.block.len() + payload.len() > MAX_BLOCK {
            return Err(Reason::ENHANCE_YOUR_CALM);
        }
        self.block.extend_from_slice(payload);
        if !header.has(flag::END_HEADERS) {
            return Ok(());
        }
        let Some(open) = self.open_block.take() else { return Ok(()) };
        let block = std::mem::take(&mut self.block);
        let read = self.field_block(open.header, open.is_self_dependent, &block, streams);
        if block.capacity() <= KEPT_BLOCK {
            self.block = block;
        }
        read
    }

    /// Reads a whole field block: the head of a request, or its trailers.
    fn field_block(
        &mut self,
        header: FrameHeader,
        is_self_dependent: bool,
        block: &[u8],
        streams: &mut Streams,
    ) -> Result<(), Reason> {
        let is_end = header.has(flag::END_STREAM);
        if header.stream > self.last_stream {
            self.last_stream = header.stream;
            return self.request(header.stream, is_self_dependent, is_end, block, streams);
        }
        let mut section = Vec::new();
        let (mut size, mut is_malformed) = (0, !is_end || is_self_dependent);
        self.decoder.decode(block, |name, value| {
            size += name.len() + value.len();
            is_malformed =
                is_malformed || size > MAX_HEAD as usize || put_trailer(&mut section, name, value).is_err();
        })?;
        match streams.find(header.stream) {
            Some(slot) if streams.slot(slot).has_failed() => Ok(()),
            Some(slot) if streams.slot(slot).is_end => streams.fail(slot, Reason::STREAM_CLOSED),
            Some(slot) if is_malformed => streams.fail(slot, Reason::PROTOCOL_ERROR),
            Some(slot) => streams.trailers(slot, section),
            None if streams.is_recent_reset(header.stream) => Ok(()),
            // A stream that has ended is not opened again (RFC 9113 §5.1.1).
            None => Err(Reason::STREAM_CLOSED),
        }
    }

    fn request(
        &mut self,
        stream: u32,
        is_self_dependent: bool,
        is_end: bool,
        block: &[u8],
        streams: &mut Streams,
    ) -> Result<(), Reason> {
        let mut buffer = Buffer::acquire();
        let mut writer = RequestWriter::new(buffer.bytes_mut(), &mut self.scratch);
        self.decoder.decode(block, |name, value| writer.field(name, value))?;
        let head = writer.finish(!is_end);
        self.scratch.trim();
        if self.is_last_said {
            streams.refuse(stream);
            return Ok(());
        }
        let head = match head {
            Ok(head) if !is_self_dependent => head,
            _ => {
                self.accepted.push_back(Received::Rejected("it is malformed"));
                return streams.reject(stream, Reason::PROTOCOL_ERROR);
            }
        };
        if head.is_over_size {
            self.accepted.push_back(Received::Rejected("its head is too large"));
            streams.respond_with_status(stream, "431");
            // The rest of the request is not read.
            return if is_end { Ok(()) } else { streams.reject(stream, Reason::NO_ERROR) };
        }
        let Some(slot) = streams.open(stream, is_end, head.content_length) else {
            return streams.reject(stream, Reason::REFUSED_STREAM);
        };
        self.accepted.push_back(Received::Request { slot, buffer, head, has_body: !is_end });
        Ok(())
    }

    /// Priorities are deprecated (RFC 9113 §5.3.2). What is not valid is an error nevertheless (§6.3).
    fn priority(&mut self, header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
        let reason = match <[u8; 5]>::try_from(payload) {
            _ if header.stream == 0 => return Err(Reason::PROTOCOL_ERROR),
            Err(_) => Reason::FRAME_SIZE_ERROR,
            Ok(priority) if dependency(priority) == header.stream => Reason::PROTOCOL_ERROR,
            Ok(_) => return Ok(()),
        };
        match streams.find(header.stream) {
            Some(slot) if !streams.slot(slot).has_failed() => streams.fail(slot, reason),
            Some(_) => Ok(()),
            // An idle stream cannot be reset.
            None if self.is_idle(header.stream) => Err(reason),
            None => streams.late_frame(header.stream),
        }
    }

    fn reset(&mut self, header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
        let reason: [u8; 4] = array(payload)?;
        if self.is_idle(header.stream) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let Some(slot) = streams.find(header.stream) else { return Ok(()) };
        streams.reset_by_caller(slot, u32::from_be_bytes(reason).into());
        let is_pending =
            |received: &Received| matches!(received, Received::Request { slot: own, .. } if *own == slot);
        if let Some(index) = self.accepted.iter().position(is_pending) {
            self.accepted.remove(index);
            streams.release(slot);
            self.pending_resets += 1;
            // Rapid reset (CVE-2023-44487).
            if self.pending_resets > MAX_PENDING_RESETS {
                return Err(Reason::ENHANCE_YOUR_CALM);
            }
        }
        Ok(())
    }

    fn ping(&mut self, header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
        if header.stream != 0 {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let content: [u8; 8] = array(payload)?;
        if !header.has(flag::ACK) {
            frame::put(streams.out(), kind::PING, flag::ACK, 0, &content);
        } else if content == DRAIN_PING && self.is_draining && !self.is_last_said {
            self.is_last_said = true;
            streams.go_away(self.last_stream, Reason::NO_ERROR);
        }
        Ok(())
    }

    fn window_update(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        streams: &mut Streams,
    ) -> Result<(), Reason> {
        let increment = u31(array(payload)?);
        if header.stream == 0 {
            return streams.open_connection_window(increment);
        }
        if self.is_idle(header.stream) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        match streams.find(header.stream) {
            Some(slot) => streams.open_window(slot, increment),
            None => Ok(()),
        }
    }
}

/// A payload of a fixed length.
fn array<const LENGTH: usize>(payload: &[u8]) -> Result<[u8; LENGTH], Reason> {
    payload.try_into().map_err(|_| Reason::FRAME_SIZE_ERROR)
}

/// The stream on which another one depends, in the five bytes of a priority.
fn dependency([first, second, third, fourth, _]: [u8; 5]) -> u32 {
    u31([first, second, third, fourth])
}

fn settings(header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
    if header.stream != 0 {
        return Err(Reason::PROTOCOL_ERROR);
    }
    let (settings, rest) = payload.as_chunks::<6>();
    if !rest.is_empty() || header.has(flag::ACK) && !payload.is_empty() {
        return Err(Reason::FRAME_SIZE_ERROR);
    }
    if header.has(flag::ACK) {
        return Ok(());
    }
    for [i0, i1, v0, v1, v2, v3] in settings {
        let value = u32::from_be_bytes([*v0, *v1, *v2, *v3]);
        match u16::from_be_bytes([*i0, *i1]) {
            setting::HEADER_TABLE_SIZE if value < HEADER_TABLE_SIZE => {
                streams.peer.is_table_update_due = true;
            }
            setting::ENABLE_PUSH if value > 1 => return Err(Reason::PROTOCOL_ERROR),
            setting::INITIAL_WINDOW_SIZE if i64::from(value) > MAX_WINDOW => {
                return Err(Reason::FLOW_CONTROL_ERROR);
            }
            setting::INITIAL_WINDOW_SIZE => streams.set_initial_window(i64::from(value))?,
            setting::MAX_FRAME_SIZE if !(1 << 14..1 << 24).contains(&value) => {
                return Err(Reason::PROTOCOL_ERROR);
            }
            setting::MAX_FRAME_SIZE => streams.peer.max_frame = value as usize,
            setting::ENABLE_CONNECT_PROTOCOL if value > 1 => return Err(Reason::PROTOCOL_ERROR),
            _ => {}
        }
    }
    frame::put(streams.out(), kind::SETTINGS, flag::ACK, 0, &[]);
    Ok(())
}
