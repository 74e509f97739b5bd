//! Reads the frames of the peer (RFC 9113 §4, §5, §6). What only one of the two sides gets is read by its [`Role`].

use super::flood::FloodGuard;
use super::streams::Streams;
use crate::net::buffer::Buffer;
use crate::proto::http2::Reason;
use crate::proto::http2::fields::put_trailer;
use crate::proto::http2::frame::{self, FrameHeader, HEADER_LENGTH, MAX_WINDOW, flag, kind, setting, u31};
use crate::proto::http2::hpack::Decoder;
use crate::proto::http2::limits::{HEADER_TABLE_SIZE, MAX_FRAME};

/// The limit on the CONTINUATION frames of a block, which may be empty.
const MAX_CONTINUATIONS: usize = 32;
/// The capacity for blocks in several frames that is kept.
const KEPT_BLOCK: usize = 4096;

/// What differs between the two sides of a connection.
pub(crate) trait Role {
    /// Whether whitespace around the value of a field is removed. Otherwise it makes a message malformed (RFC 9113 §8.2.1).
    const TRIMS_VALUES: bool;

    /// The size of the largest head, counted as RFC 9113 §6.5.2 says.
    fn max_head(&self) -> usize;

    /// Reads a field block that is no trailer section.
    fn head(
        &mut self,
        block: FieldBlock<'_>,
        decoder: &mut Decoder,
        streams: &mut Streams,
    ) -> Result<(), Reason>;

    /// Whether a block of a stream that was opened before is a head.
    fn is_head(&self, slot: usize, streams: &Streams) -> bool;

    /// The peer resets the stream in a slot.
    fn reset(&mut self, slot: usize, reason: Reason, streams: &mut Streams) -> Result<(), Reason>;

    /// The peer has acknowledged a PING.
    fn ping_acknowledged(&mut self, content: [u8; 8], streams: &mut Streams);

    /// The peer opens no streams after this one, or processes none (RFC 9113 §6.8).
    fn go_away(&mut self, last_stream: u32, reason: Reason, streams: &mut Streams);

    /// Takes a setting whose meaning depends on the side.
    fn setting(&mut self, name: u16, value: u32, streams: &mut Streams) -> Result<(), Reason>;
}

/// A whole field block.
pub(crate) struct FieldBlock<'a> {
    pub(super) stream: u32,
    /// Whether the message ends with it.
    pub(super) is_end: bool,
    /// Whether its priority names the stream itself, which is an error (RFC 7540 §5.3.1).
    pub(super) is_self_dependent: bool,
    pub(super) bytes: &'a [u8],
}

/// Reads the frames of one connection, behind its preface.
pub(crate) struct Receiver<R> {
    decoder: Decoder,
    /// A field block that is not complete.
    block: Vec<u8>,
    open_block: Option<OpenBlock>,
    flood: FloodGuard,
    pub(crate) role: R,
}

/// The HEADERS frame of a field block that is not complete.
struct OpenBlock {
    header: FrameHeader,
    is_self_dependent: bool,
    continuations: usize,
}

impl<R: Role> Receiver<R> {
    /// A receiver for this side.
    pub(crate) fn new(role: R) -> Self {
        Self {
            decoder: Decoder::new(HEADER_TABLE_SIZE as usize, role.max_head()),
            block: Vec::new(),
            open_block: None,
            flood: FloodGuard::default(),
            role,
        }
    }

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

    /// The stream of the field block that has begun to come and is not complete. `input` has the bytes that are no whole frame yet.
    pub(super) fn unfinished_block(&self, input: &[u8]) -> Option<u32> {
        match &self.open_block {
            Some(open) => Some(open.header.stream),
            None => FrameHeader::read(input)
                .filter(|header| header.kind == kind::HEADERS)
                .map(|header| header.stream),
        }
    }

    /// Whether nothing but frames without content came for a while.
    pub(crate) fn is_in_long_row(&self) -> bool {
        self.flood.is_in_long_row()
    }

    fn frame(&mut self, header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
        if self
            .open_block
            .as_ref()
            .is_some_and(|open| header.kind != kind::CONTINUATION || header.stream != open.header.stream)
        {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let is_settings = header.kind == kind::SETTINGS && !header.has(flag::ACK);
        if !streams.peer.has_settings && !is_settings {
            // RFC 9113 §3.4: they are the first frame.
            return Err(Reason::PROTOCOL_ERROR);
        }
        if self.flood.is_flood(header) {
            return Err(Reason::ENHANCE_YOUR_CALM);
        }
        match header.kind {
            kind::DATA => self.data(header, payload, streams),
            kind::HEADERS => self.headers(header, payload, streams),
            kind::CONTINUATION => self.continuation(header, payload, streams),
            kind::PRIORITY => priority(header, payload, streams),
            kind::RST_STREAM => self.reset(header, payload, streams),
            kind::SETTINGS => self.settings(header, payload, streams),
            kind::PING => self.ping(header, payload, streams),
            kind::WINDOW_UPDATE => window_update(header, payload, streams),
            kind::GOAWAY => self.go_away(header, payload, streams),
            // A client does not push, and has disabled that a server does (RFC 9113 §8.4).
            kind::PUSH_PROMISE => Err(Reason::PROTOCOL_ERROR),
            // Others are ignored (RFC 9113 §5.5).
            _ => Ok(()),
        }
    }

    fn data(&mut self, header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
        if streams.is_idle(header.stream) {
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
        if open.continuations > MAX_CONTINUATIONS
            || self.block.len() + payload.len() > 2 * self.role.max_head()
        {
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

    /// Reads a whole field block: a head, or a trailer section.
    fn field_block(
        &mut self,
        header: FrameHeader,
        is_self_dependent: bool,
        bytes: &[u8],
        streams: &mut Streams,
    ) -> Result<(), Reason> {
        let is_end = header.has(flag::END_STREAM);
        let slot = streams.find(header.stream);
        let is_head = match slot {
            Some(slot) => self.role.is_head(slot, streams),
            None => streams.is_idle(header.stream),
        };
        if is_head {
            let block = FieldBlock { stream: header.stream, is_end, is_self_dependent, bytes };
            return self.role.head(block, &mut self.decoder, streams);
        }
        let mut section = Vec::new();
        let (mut size, mut is_malformed) = (0, !is_end || is_self_dependent);
        let max_size = self.role.max_head();
        self.decoder.decode(bytes, |name, value| {
            let value = if R::TRIMS_VALUES { value.trim_ascii() } else { value };
            size += name.len() + value.len();
            is_malformed = is_malformed || size > max_size || put_trailer(&mut section, name, value).is_err();
        })?;
        match slot {
            Some(slot) if streams.slot(slot).has_failed() => Ok(()),
            Some(slot) if streams.slot(slot).is_end => streams.fail(slot, Reason::STREAM_CLOSED),
            Some(slot) if is_malformed => streams.fail(slot, Reason::PROTOCOL_ERROR),
            Some(slot) => streams.trailers(slot, section),
            None if streams.may_be_late(header.stream) => Ok(()),
            // A stream that has ended is not opened again (RFC 9113 §5.1.1).
            None => Err(Reason::STREAM_CLOSED),
        }
    }

    fn reset(&mut self, header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
        let reason: [u8; 4] = array(payload)?;
        if streams.is_idle(header.stream) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let Some(slot) = streams.find(header.stream) else { return Ok(()) };
        self.role.reset(slot, u32::from_be_bytes(reason).into(), streams)
    }

    fn ping(&mut self, header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
        if header.stream != 0 {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let content: [u8; 8] = array(payload)?;
        if header.has(flag::ACK) {
            self.role.ping_acknowledged(content, streams);
        } else {
            frame::put(streams.out(), kind::PING, flag::ACK, 0, &content);
        }
        Ok(())
    }

    fn go_away(&mut self, header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
        if header.stream != 0 {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let Some(([last_stream, reason], _)) = payload.as_chunks::<4>().0.split_first_chunk() else {
            return Err(Reason::FRAME_SIZE_ERROR);
        };
        self.role.go_away(u31(*last_stream), u32::from_be_bytes(*reason).into(), streams);
        Ok(())
    }

    fn settings(&mut self, header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
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
                setting::INITIAL_WINDOW_SIZE if i64::from(value) > MAX_WINDOW => {
                    return Err(Reason::FLOW_CONTROL_ERROR);
                }
                setting::INITIAL_WINDOW_SIZE => streams.set_initial_window(i64::from(value))?,
                setting::MAX_FRAME_SIZE if !(1 << 14..1 << 24).contains(&value) => {
                    return Err(Reason::PROTOCOL_ERROR);
                }
                setting::MAX_FRAME_SIZE => streams.peer.max_frame = value as usize,
                setting::ENABLE_CONNECT_PROTOCOL if value > 1 => return Err(Reason::PROTOCOL_ERROR),
                other => self.role.setting(other, value, streams)?,
            }
        }
        streams.peer.has_settings = true;
        frame::put(streams.out(), kind::SETTINGS, flag::ACK, 0, &[]);
        Ok(())
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

/// Priorities are deprecated (RFC 9113 §5.3.2). What is not valid is an error nevertheless (§6.3).
fn priority(header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
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
        None if streams.is_idle(header.stream) => Err(reason),
        None => streams.late_frame(header.stream),
    }
}

fn window_update(header: FrameHeader, payload: &[u8], streams: &mut Streams) -> Result<(), Reason> {
    let increment = u31(array(payload)?);
    if header.stream == 0 {
        return streams.open_connection_window(increment);
    }
    if streams.is_idle(header.stream) {
        return Err(Reason::PROTOCOL_ERROR);
    }
    match streams.find(header.stream) {
        Some(slot) => streams.open_window(slot, increment),
        None => Ok(()),
    }
}
