//! The client's side: the responses that come.

use super::body_coding::BodyCoding;
use super::receiver::{FieldBlock, Role};
use super::slot::Slot;
use super::streams::Streams;
use crate::net::buffer::Buffer;
use crate::proto::http2::Reason;
use crate::proto::http2::frame::setting;
use crate::proto::http2::hpack::Decoder;
use crate::proto::http2::upstream_response::ResponseWriter;

/// The limit on interim heads that are not read yet, in sizes of the largest head.
const MAX_UNREAD_HEADS: usize = 2;

/// The responses of one connection.
pub(crate) struct Responses {
    /// The size of the largest head.
    max_head: usize,
}

impl Responses {
    /// Responses whose heads have at most this size.
    pub(crate) fn new(max_head: u32) -> Self {
        Self { max_head: max_head as usize }
    }

    /// Takes a head for the stream in a slot. The inner error is that of the stream: the head is malformed, or too large. The outer one
    /// is that of the connection.
    fn take_head(
        &self,
        slot: &mut Slot,
        block: &FieldBlock<'_>,
        decoder: &mut Decoder,
    ) -> Result<Result<(), Reason>, Reason> {
        let heads = slot.heads.get_or_insert_with(Buffer::acquire);
        if heads.filled().len() > MAX_UNREAD_HEADS * self.max_head {
            decoder.decode(block.bytes, |_, _| {})?;
            return Ok(Err(Reason::ENHANCE_YOUR_CALM));
        }
        let mut writer = ResponseWriter::new(heads.bytes_mut(), self.max_head);
        decoder.decode(block.bytes, |name, value| writer.field(name, value))?;
        let response = match writer.finish(block.is_end, slot.response.to_head) {
            Ok(response) if !response.is_over_size && !block.is_self_dependent => response,
            _ => return Ok(Err(Reason::PROTOCOL_ERROR)),
        };
        slot.is_end = block.is_end;
        if !response.is_interim() {
            slot.content_left = response.content_length;
            slot.response.coding = Some(BodyCoding::of_response(response, !block.is_end));
            slot.response.must_be_empty = response.content_length == Some(0);
        }
        slot.wake_reader();
        Ok(Ok(()))
    }
}

impl Role for Responses {
    /// gRPC leaves spaces in `grpc-message` as they are, also at its ends. In HTTP/1.1 they are no part of a value (RFC 9110 §5.5).
    const TRIMS_VALUES: bool = true;

    fn max_head(&self) -> usize {
        self.max_head
    }

    fn is_head(&self, slot: usize, streams: &Streams) -> bool {
        streams.is_before_head(slot) && !streams.slots[slot].has_failed()
    }

    fn head(
        &mut self,
        block: FieldBlock<'_>,
        decoder: &mut Decoder,
        streams: &mut Streams,
    ) -> Result<(), Reason> {
        // A server opens no streams but by PUSH_PROMISE, which is disabled.
        let slot = streams.find(block.stream).ok_or(Reason::PROTOCOL_ERROR)?;
        let taken = self.take_head(streams.slot(slot), &block, decoder);
        if !matches!(taken, Ok(Ok(()))) {
            // Nothing is read of a head that is not whole.
            streams.slot(slot).heads = None;
        }
        taken?.or_else(|reason| streams.fail(slot, reason))
    }

    fn reset(&mut self, slot: usize, reason: Reason, streams: &mut Streams) -> Result<(), Reason> {
        streams.reset_by_peer(slot, reason);
        Ok(())
    }

    fn ping_acknowledged(&mut self, content: [u8; 8], streams: &mut Streams) {
        streams.ping_acknowledged(content);
    }

    fn go_away(&mut self, last_stream: u32, reason: Reason, streams: &mut Streams) {
        streams.end_by_peer(last_stream, reason);
    }

    fn setting(&mut self, name: u16, value: u32, streams: &mut Streams) -> Result<(), Reason> {
        match name {
            setting::MAX_CONCURRENT_STREAMS => streams.peer.max_streams = value as usize,
            // RFC 9113 §6.5.2: a server must not enable it.
            setting::ENABLE_PUSH if value != 0 => return Err(Reason::PROTOCOL_ERROR),
            _ => {}
        }
        Ok(())
    }
}
