//! A body that is being moved: where it ends, and how much of it can be written.

use super::framing::{Framing, FramingError, Segment};
use super::leak_guard::LeakGuard;
use crate::net::buffer::Buffer;
use crate::proto::grpc_web::GrpcWebTrailers;

/// A body that is being moved. It outlives the futures that move it. Bytes that one future has counted but
/// not written must not be counted again by the next one: the body would end too early, and its remaining
/// bytes would be read as another request.
pub(crate) struct Body<'g> {
    pub(super) framing: Framing,
    /// Masks the credential in the trailers of a response.
    guard: Option<LeakGuard<'g>>,
    /// The number of bytes at the front of the buffer that were counted and are still to be written.
    pub(super) ready: usize,
    /// Reads the content, if it is gRPC-Web, which has its trailers there.
    grpc_web: Option<Box<GrpcWebTrailers>>,
}

impl<'g> Body<'g> {
    /// A body of which nothing was moved yet.
    pub(crate) fn new(framing: Framing) -> Self {
        Self { framing, guard: None, ready: 0, grpc_web: None }
    }

    /// The body of a response, in whose trailers the credential is masked.
    pub(crate) fn of_response(framing: Framing, guard: Option<LeakGuard<'g>>) -> Self {
        Self { guard, ..Self::new(framing) }
    }

    /// The same body, whose content is read as it passes.
    pub(crate) fn read_by(self, grpc_web: Option<Box<GrpcWebTrailers>>) -> Self {
        Self { grpc_web, ..self }
    }

    /// Returns the framing, if nothing was moved yet.
    pub(crate) fn into_framing(self) -> Framing {
        self.framing
    }

    /// Whether the trailers have `grpc-status: 16`.
    pub(crate) fn is_grpc_unauthenticated(&self) -> bool {
        self.framing.is_grpc_unauthenticated()
            || self.grpc_web.as_ref().is_some_and(|trailers| trailers.is_unauthenticated())
    }

    /// Whether the whole body was written.
    pub(crate) fn is_done(&self) -> bool {
        self.ready == 0 && self.framing.is_done()
    }

    /// Whether all bytes that are ready were written, and more of the body is to come.
    pub(crate) fn awaits_more(&self) -> bool {
        self.ready == 0 && !self.framing.is_done()
    }

    /// Moves the part of the body that is in `buffer` to the end of `out`.
    pub(crate) fn take(&mut self, buffer: &mut Buffer, out: &mut Buffer) -> Result<(), FramingError> {
        debug_assert_eq!(self.ready, 0);
        let count = self.framing.take(buffer.filled())?;
        out.bytes_mut().extend_from_slice(&buffer.filled()[..count]);
        buffer.consume(count);
        Ok(())
    }

    /// Returns the number of bytes at the front of `bytes` that belong to a response's body.
    pub(super) fn take_of_response(&mut self, bytes: &mut [u8]) -> Result<usize, FramingError> {
        if self.grpc_web.is_none() {
            return self.framing.take_of_response(bytes, self.guard);
        }
        let mut total = 0;
        loop {
            match self.next_of_response(&mut bytes[total..])? {
                Segment::Content(count) | Segment::Framing(count) => total += count,
                Segment::NeedMore => return Ok(total),
            }
        }
    }

    /// Returns the segment at the front of `bytes`, which are a response's.
    pub(super) fn next_of_response(&mut self, bytes: &mut [u8]) -> Result<Segment, FramingError> {
        let segment = self.framing.next_of_response(bytes, self.guard)?;
        if let (Segment::Content(count), Some(grpc_web)) = (&segment, &mut self.grpc_web) {
            grpc_web.read(&bytes[..*count]);
        }
        Ok(segment)
    }

    /// Counts the part of a response's body that is in `buffer`. Returns whether `buffer` has the whole body
    /// and nothing else.
    pub(crate) fn count(&mut self, buffer: &mut Buffer) -> Result<bool, FramingError> {
        debug_assert_eq!(self.ready, 0);
        self.ready = self.take_of_response(buffer.filled_mut())?;
        Ok(self.framing.is_done() && self.ready == buffer.filled().len())
    }
}
