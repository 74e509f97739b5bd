//! The server's side: the requests that come.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::receiver::{FieldBlock, Role};
use super::stream::StreamHandle;
use super::streams::Streams;
use crate::net::buffer::Buffer;
use crate::proto::http2::Reason;
use crate::proto::http2::frame::{self, MAX_STREAM, kind, setting};
use crate::proto::http2::hpack::Decoder;
use crate::proto::http2::limits::{MAX_HEAD, MAX_PENDING_RESETS};
use crate::proto::http2::request_head::{HeadScratch, RequestHead, RequestWriter};

/// The content of the PING by which a drained connection finds out which streams were still on their way.
const DRAIN_PING: [u8; 8] = *b"drained?";

/// The requests of one connection.
#[derive(Default)]
pub(crate) struct Requests {
    scratch: HeadScratch,
    /// The requests that have come, and that the connection has not taken yet.
    accepted: VecDeque<Received>,
    /// Number of streams that were reset before they were accepted, less those that were accepted since.
    pending_resets: usize,
    /// Whether the connection is drained, and whether the last stream was said (RFC 9113 §6.8): streams after that are not
    /// served.
    is_draining: bool,
    is_last_said: bool,
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

impl Requests {
    /// The next request that has come.
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
    pub(super) fn begin_drain(&mut self, streams: &mut Streams) {
        self.is_draining = true;
        frame::put_go_away(streams.out(), MAX_STREAM, Reason::NO_ERROR);
        frame::put(streams.out(), kind::PING, 0, 0, &DRAIN_PING);
    }

    /// Whether a drained connection gets no further requests.
    pub(super) fn is_last_said(&self) -> bool {
        self.is_last_said
    }
}

impl Role for Requests {
    const TRIMS_VALUES: bool = false;

    fn max_head(&self) -> usize {
        MAX_HEAD as usize
    }

    fn is_head(&self, _: usize, _: &Streams) -> bool {
        false
    }

    fn head(
        &mut self,
        block: FieldBlock<'_>,
        decoder: &mut Decoder,
        streams: &mut Streams,
    ) -> Result<(), Reason> {
        let FieldBlock { stream, is_end, is_self_dependent, bytes } = block;
        streams.last_stream = stream;
        let mut buffer = Buffer::acquire();
        let mut writer = RequestWriter::new(buffer.bytes_mut(), &mut self.scratch);
        decoder.decode(bytes, |name, value| writer.field(name, value))?;
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

    fn reset(&mut self, slot: usize, reason: Reason, streams: &mut Streams) -> Result<(), Reason> {
        streams.reset_by_peer(slot, reason);
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

    fn ping_acknowledged(&mut self, content: [u8; 8], streams: &mut Streams) {
        if content == DRAIN_PING && self.is_draining && !self.is_last_said {
            self.is_last_said = true;
            streams.go_away(Reason::NO_ERROR);
        }
    }

    /// Does nothing: the caller opens no further streams.
    fn go_away(&mut self, _: u32, _: Reason, _: &mut Streams) {}

    fn setting(&mut self, name: u16, value: u32, _: &mut Streams) -> Result<(), Reason> {
        if name == setting::ENABLE_PUSH && value > 1 { Err(Reason::PROTOCOL_ERROR) } else { Ok(()) }
    }
}
