//! What comes on streams, and how much more may come (RFC 9113 §5.2).

use super::streams::Streams;
use crate::net::buffer::Buffer;
use crate::proto::http2::Reason;
use crate::proto::http2::frame::{self, FrameHeader, flag};

impl Streams {
    /// Takes the content of a DATA frame. Fails if the connection must end.
    pub(super) fn data(&mut self, header: FrameHeader, content: &[u8]) -> Result<(), Reason> {
        if !self.receive_window.take(header.length) {
            return Err(Reason::FLOW_CONTROL_ERROR);
        }
        let Some(index) = self.find(header.stream) else {
            self.acknowledge_connection(header.length);
            return self.late_frame(header.stream);
        };
        let is_before_head = self.is_before_head(index);
        let slot = &mut self.slots[index];
        if slot.has_failed() {
            self.acknowledge_connection(header.length);
            return Ok(());
        }
        let is_within_window = slot.receive_window.take(header.length);
        let is_last = header.has(flag::END_STREAM);
        let left = slot.content_left.map(|left| left.checked_sub(content.len() as u64));
        let failure = if slot.is_end {
            Some(Reason::STREAM_CLOSED)
        } else if !is_within_window {
            Some(Reason::FLOW_CONTROL_ERROR)
        } else if is_before_head {
            Some(Reason::PROTOCOL_ERROR)
        } else if left.is_some_and(|left| left.is_none_or(|left| is_last && left > 0)) {
            // RFC 9113 §8.1.1: another length than the head says.
            Some(Reason::PROTOCOL_ERROR)
        } else {
            None
        };
        if let Some(reason) = failure {
            self.acknowledge_connection(header.length);
            return self.fail(index, reason);
        }
        slot.content_left = left.flatten();
        slot.is_end = is_last;
        if !content.is_empty() {
            slot.received.get_or_insert_with(Buffer::acquire).append(content);
        }
        slot.wake_reader();
        self.acknowledge(index, header.length - content.len());
        Ok(())
    }

    /// Takes a trailer section, which ends the message.
    pub(super) fn trailers(&mut self, index: usize, lines: Vec<u8>) -> Result<(), Reason> {
        let slot = &mut self.slots[index];
        if slot.content_left.is_some_and(|left| left > 0) {
            return self.fail(index, Reason::PROTOCOL_ERROR);
        }
        slot.is_end = true;
        slot.trailers = lines;
        slot.wake_reader();
        Ok(())
    }

    /// Content of a stream was read: the peer may send as much again.
    pub(super) fn acknowledge(&mut self, index: usize, length: usize) {
        let (stream, slot) = (self.ids[index], &mut self.slots[index]);
        if !slot.is_end
            && !slot.has_failed()
            && let Some(increment) = slot.receive_window.acknowledge(length)
        {
            frame::put_window_update(self.out(), stream, increment);
        }
        self.acknowledge_connection(length);
    }

    pub(super) fn acknowledge_connection(&mut self, length: usize) {
        if let Some(increment) = self.receive_window.acknowledge(length) {
            frame::put_window_update(self.out(), 0, increment);
        }
    }
}
