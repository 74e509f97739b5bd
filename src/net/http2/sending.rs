//! What is sent on streams, and how much the peer accepts (RFC 9113 §5.2).

use std::io;
use std::task::{Context, Poll};

use super::error::StreamError;
use super::peer::Peer;
use super::streams::Streams;
use crate::proto::http2::Reason;
use crate::proto::http2::fields::parse_trailers;
use crate::proto::http2::frame::{self, MAX_WINDOW, flag, kind, window_size};
use crate::proto::http2::hpack::encoder;
use crate::proto::http2::response_head::{ResponseContext, ResponseHead, encode_response, put_trailers};
use crate::proto::http2::upstream_request::{RequestContext, UpstreamRequest, encode_request};

/// The size of the content of a DATA frame at most, so that streams take turns.
const MAX_SENT_CONTENT: usize = 16 * 1024;

impl Streams {
    /// The peer opens the window of a stream.
    pub(super) fn open_window(&mut self, index: usize, increment: u32) -> Result<(), Reason> {
        let slot = &mut self.slots[index];
        if slot.has_failed() {
            return Ok(());
        }
        slot.send_window += i64::from(increment);
        if increment == 0 {
            return self.fail(index, Reason::PROTOCOL_ERROR);
        }
        if slot.send_window > MAX_WINDOW {
            return self.fail(index, Reason::FLOW_CONTROL_ERROR);
        }
        slot.window_changed();
        Ok(())
    }

    /// The peer opens the window of the connection.
    pub(super) fn open_connection_window(&mut self, increment: u32) -> Result<(), Reason> {
        self.send_window += i64::from(increment);
        match increment {
            0 => Err(Reason::PROTOCOL_ERROR),
            _ if self.send_window > MAX_WINDOW => Err(Reason::FLOW_CONTROL_ERROR),
            _ => Ok(()),
        }
    }

    /// The peer changes the window of every stream (RFC 9113 §6.9.2). A window can become negative.
    pub(super) fn set_initial_window(&mut self, window: i64) -> Result<(), Reason> {
        let change = window - self.peer.initial_window;
        self.peer.initial_window = window;
        for (id, slot) in self.ids.iter().zip(&mut self.slots) {
            slot.send_window += change;
            if *id != 0 && slot.send_window > MAX_WINDOW {
                return Err(Reason::FLOW_CONTROL_ERROR);
            }
            slot.window_changed();
        }
        Ok(())
    }

    /// Waits until a stream may write a head.
    pub(super) fn poll_room(&mut self, index: usize, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.slots[index].check()?;
        if self.is_out_full() {
            self.turns.wait(index, &mut self.slots[index], cx, false);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the head of a request at the front of `bytes`, which opens the stream.
    pub(super) fn send_request(
        &mut self,
        index: usize,
        bytes: &[u8],
        context: &RequestContext,
    ) -> io::Result<UpstreamRequest> {
        self.slots[index].check()?;
        let stream = self.next_stream().ok_or(StreamError::Unprocessed(Reason::NO_ERROR))?;
        let request = self.put_field_block(stream, |block| {
            let request = encode_request(bytes, context, block)?;
            Ok((request.coding.is_done(), request))
        })?;
        self.mark_secret();
        self.open_outgoing(index, stream);
        let slot = &mut self.slots[index];
        slot.is_sent = request.coding.is_done();
        slot.response.to_head = request.is_head;
        Ok(request)
    }

    /// Sends the head of a response at the front of `bytes`. An empty body behind it is sent in the same frame, as "Trailers-Only" of gRPC
    /// requires.
    pub(super) fn send_response(
        &mut self,
        index: usize,
        bytes: &[u8],
        context: ResponseContext,
    ) -> io::Result<ResponseHead> {
        let head = self.put_field_block(self.ids[index], |block| {
            let head = encode_response(bytes, context, block)?;
            Ok((head.is_end(), head))
        })?;
        self.slots[index].is_sent = head.is_end();
        Ok(head)
    }

    /// Sends as much content as the windows allow. `is_last`: nothing follows the last of it.
    pub(super) fn poll_send(
        &mut self,
        index: usize,
        cx: &Context<'_>,
        content: &[u8],
        is_last: bool,
    ) -> Poll<io::Result<usize>> {
        let is_full = self.is_out_full();
        let (stream, slot) = (self.ids[index], &mut self.slots[index]);
        slot.check()?;
        let mut count = 0;
        if !content.is_empty() {
            if slot.send_window <= 0 {
                slot.wait_to_write(cx);
                return Poll::Pending;
            }
            let needs_window = self.send_window <= 0;
            if needs_window || is_full || self.turns.is_over(slot) {
                self.turns.wait(index, slot, cx, needs_window);
                return Poll::Pending;
            }
            let window = usize::try_from(self.send_window.min(slot.send_window)).unwrap_or_default();
            count = content.len().min(window).min(MAX_SENT_CONTENT).min(self.peer.max_frame);
            self.send_window -= window_size(count);
            slot.send_window -= window_size(count);
            self.turns.sent(slot);
        }
        let is_end = is_last && count == content.len();
        slot.is_sent = is_end;
        let flags = if is_end { flag::END_STREAM } else { 0 };
        frame::put(self.out(), kind::DATA, flags, stream, &content[..count]);
        Poll::Ready(Ok(count))
    }

    /// Sends a trailer section, which ends the message.
    pub(super) fn send_trailers(&mut self, index: usize, section: &[u8]) -> io::Result<()> {
        self.slots[index].check()?;
        self.put_field_block(self.ids[index], |block| {
            parse_trailers(section, |fields| {
                put_trailers(block, fields);
                Ok((true, ()))
            })
        })?;
        self.slots[index].is_sent = true;
        Ok(())
    }

    /// Responds to a request that has no slot with a status alone.
    pub(super) fn respond_with_status(&mut self, stream: u32, status: &str) {
        let written = self.put_field_block(stream, |block| {
            encoder::put_status(block, status);
            Ok((true, ()))
        });
        debug_assert!(written.is_ok());
    }

    /// Writes a field block, which ends the message if `write` returns so.
    fn put_field_block<T>(
        &mut self,
        stream: u32,
        write: impl FnOnce(&mut Vec<u8>) -> io::Result<(bool, T)>,
    ) -> io::Result<T> {
        let Peer { max_frame, is_table_update_due, .. } = self.peer;
        let written = frame::put_field_block(self.out(), stream, max_frame, |block| {
            if is_table_update_due {
                encoder::put_empty_table(block);
            }
            write(block)
        })?;
        self.peer.is_table_update_due = false;
        Ok(written)
    }
}
