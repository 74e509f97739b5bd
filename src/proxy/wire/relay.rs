//! Moves bodies: the request's toward the upstream, the response's toward the caller, both at once where they are.
//!
//! Nothing is held back: what was read is written before more is read, so memory stays flat and the first byte passes at
//! once. Hand-written futures, because both directions share the same two connections.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::framing::{Framing, FramingError, Segment};
use super::timer::ReusableTimer;
use super::write_head::TransferMode;
use crate::net::buffer::Buffer;

/// So much of a body is copied behind its head: for less, that is cheaper than telling the kernel of two places.
const MAX_COPIED: usize = 4096;

/// A duplex connection.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// One side of the exchange with what was read from it and not yet passed on.
pub(crate) struct BodyHalf<'a, S> {
    pub(crate) io: &'a mut S,
    pub(crate) buffer: &'a mut Buffer,
    pub(crate) body: &'a mut Body,
}

/// A body on its way. It outlives the futures that move it: bytes that one of them counted and could not write yet must
/// not be counted again by the next, or the body would end too early and its rest would be read as another request.
pub(crate) struct Body {
    framing: Framing,
    /// So many bytes at the front of the buffer were counted and are still to be written.
    ready: usize,
}

impl Body {
    pub(crate) fn new(framing: Framing) -> Self {
        Self { framing, ready: 0 }
    }

    /// The framing, before any of the body was moved.
    pub(crate) fn into_framing(self) -> Framing {
        self.framing
    }

    /// Whether all of it was passed on.
    pub(crate) fn is_done(&self) -> bool {
        self.ready == 0 && self.framing.is_done()
    }

    /// Whether all that was read of it was passed on, and more is to come.
    pub(crate) fn awaits_more(&self) -> bool {
        self.ready == 0 && !self.framing.is_done()
    }

    /// Moves what there is of it in `buffer` to the end of `out`.
    pub(crate) fn take(&mut self, buffer: &mut Buffer, out: &mut Buffer) -> Result<(), FramingError> {
        debug_assert_eq!(self.ready, 0);
        let count = self.framing.take(buffer.filled())?;
        out.bytes_mut().extend_from_slice(&buffer.filled()[..count]);
        buffer.consume(count);
        Ok(())
    }

    /// Counts what there is of it in `buffer`; whether that is all of it, and all that is there.
    pub(crate) fn count(&mut self, buffer: &Buffer) -> Result<bool, FramingError> {
        debug_assert_eq!(self.ready, 0);
        self.ready = self.framing.take(buffer.filled())?;
        Ok(self.framing.is_done() && self.ready == buffer.filled().len())
    }
}

/// Why a body could not be moved on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    #[error("the caller's connection broke: {0}")]
    Downstream(io::Error),
    #[error("the upstream's connection broke: {0}")]
    Upstream(io::Error),
    #[error("the request's body is malformed: {0}")]
    DownstreamBody(FramingError),
    #[error("the upstream's body is malformed: {0}")]
    UpstreamBody(FramingError),
    #[error("nothing moved for too long")]
    Idle,
    #[error("nothing more of the request's body came for too long")]
    DownstreamIdle,
}

/// How sending a request's body ended.
pub(crate) enum SendOutcome {
    /// All of it was written.
    Complete,
    /// The upstream answered before it had all.
    EarlyResponse,
    /// The upstream takes no more; it may have answered why.
    WriteFailed(io::Error),
}

/// Sends the request's body until it ends or the upstream says something.
pub(crate) async fn send_request_body<C: Io, U: Io>(
    caller: &mut BodyHalf<'_, C>,
    upstream: &mut U,
    answer: &mut Buffer,
    timer: &mut ReusableTimer,
    idle: Duration,
) -> Result<SendOutcome, RelayError> {
    timer.reset();
    poll_fn(|cx| {
        loop {
            let moved = match poll_request_body(caller, upstream, cx)? {
                Step::Moved => true,
                Step::Waiting => false,
                Step::Done => return Poll::Ready(Ok(SendOutcome::Complete)),
                Step::WriteFailed(error) => return Poll::Ready(Ok(SendOutcome::WriteFailed(error))),
            };
            // A caller that never pauses must not keep its own answer from itself.
            return match answer.poll_fill(cx, upstream) {
                Poll::Ready(Ok(0)) => {
                    Poll::Ready(Ok(SendOutcome::WriteFailed(io::ErrorKind::UnexpectedEof.into())))
                }
                Poll::Ready(Ok(_)) => Poll::Ready(Ok(SendOutcome::EarlyResponse)),
                Poll::Ready(Err(error)) => Poll::Ready(Ok(SendOutcome::WriteFailed(error))),
                Poll::Pending if moved => {
                    timer.reset();
                    continue;
                }
                Poll::Pending => {
                    // What there is was written: it is the caller that is waited for.
                    let broken =
                        if caller.body.awaits_more() { RelayError::DownstreamIdle } else { RelayError::Idle };
                    timer.poll_elapsed(idle, cx).map(|()| Err(broken))
                }
            };
        }
    })
    .await
}

/// Passes the response's body on, and what is left of the request's the other way. Ends with the response, or with the
/// caller: one that closes its connection wants no answer. Returns whether the request's body was sent to its end.
pub(crate) async fn relay_bodies<C: Io, U: Io>(
    caller: &mut BodyHalf<'_, C>,
    upstream: &mut BodyHalf<'_, U>,
    relay: TransferMode,
    timer: &mut ReusableTimer,
    idle: Duration,
) -> Result<bool, RelayError> {
    let mut recoder = Recoder::of(relay);
    let mut sending = !caller.body.is_done();
    let mut sent = !sending;
    timer.reset();
    poll_fn(|cx| {
        loop {
            let mut moved = false;
            let step = match &mut recoder {
                None => poll_response_body(upstream, caller.io, cx)?,
                Some(recoder) => poll_recoded_body(upstream, recoder, caller.io, cx)?,
            };
            match step {
                Step::Done => return Poll::Ready(Ok(sent)),
                Step::Moved => moved = true,
                Step::Waiting | Step::WriteFailed(_) => {}
            }
            if sending {
                match poll_request_body(caller, upstream.io, cx)? {
                    Step::Moved => moved = true,
                    Step::Done => (sending, sent) = (false, true),
                    // An upstream that takes no more may still be answering.
                    Step::WriteFailed(_) => sending = false,
                    Step::Waiting => {}
                }
            } else if !moved {
                poll_downstream_closed(caller.io, caller.buffer, cx)?;
            }
            if !moved {
                return timer.poll_elapsed(idle, cx).map(|()| Err(RelayError::Idle));
            }
            timer.reset();
        }
    })
    .await
}

/// Waits for more of the answer's head, or for the caller to leave.
pub(crate) async fn await_response_head<C: Io, U: Io>(
    caller: &mut C,
    buffer: &mut Buffer,
    upstream: &mut U,
    answer: &mut Buffer,
) -> Result<io::Result<usize>, RelayError> {
    poll_fn(|cx| match answer.poll_fill(cx, upstream) {
        Poll::Ready(read) => Poll::Ready(Ok(read)),
        Poll::Pending => match poll_downstream_closed(caller, buffer, cx) {
            Ok(()) => Poll::Pending,
            Err(broken) => Poll::Ready(Err(broken)),
        },
    })
    .await
}

/// Finds out whether a caller that has nothing more to send closed its connection. One that closes its sending half only
/// is taken for gone too, as other proxies do: the two cannot be told apart, and without it a request whose caller gave
/// up would keep its upstream busy to the end. What it sends of its next request is kept, up to one buffer of it.
fn poll_downstream_closed<C: Io>(
    caller: &mut C,
    buffer: &mut Buffer,
    cx: &mut Context<'_>,
) -> Result<(), RelayError> {
    if !buffer.is_empty() {
        return Ok(());
    }
    match buffer.poll_fill(cx, caller) {
        Poll::Ready(Ok(0)) => Err(RelayError::Downstream(io::ErrorKind::UnexpectedEof.into())),
        Poll::Ready(Err(error)) => Err(RelayError::Downstream(error)),
        Poll::Ready(Ok(_)) | Poll::Pending => Ok(()),
    }
}

enum Step {
    Moved,
    Waiting,
    Done,
    WriteFailed(io::Error),
}

/// One step of the request's body: write what is ready, or else find out what is, or else read.
fn poll_request_body<C: Io, U: Io>(
    caller: &mut BodyHalf<'_, C>,
    upstream: &mut U,
    cx: &mut Context<'_>,
) -> Result<Step, RelayError> {
    if caller.body.ready > 0 {
        return Ok(match Pin::new(upstream).poll_write(cx, &caller.buffer.filled()[..caller.body.ready]) {
            Poll::Ready(Ok(0)) => Step::WriteFailed(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(written)) => {
                caller.buffer.consume(written);
                caller.body.ready -= written;
                Step::Moved
            }
            Poll::Ready(Err(error)) => Step::WriteFailed(error),
            Poll::Pending => Step::Waiting,
        });
    }
    if caller.body.is_done() {
        return Ok(match Pin::new(upstream).poll_flush(cx) {
            Poll::Ready(Ok(())) => Step::Done,
            Poll::Ready(Err(error)) => Step::WriteFailed(error),
            Poll::Pending => Step::Waiting,
        });
    }
    caller.body.ready =
        caller.body.framing.take(caller.buffer.filled()).map_err(RelayError::DownstreamBody)?;
    if caller.body.ready > 0 || caller.body.is_done() {
        return Ok(Step::Moved);
    }
    match caller.buffer.poll_fill(cx, caller.io) {
        Poll::Ready(Ok(0)) => Err(RelayError::Downstream(io::ErrorKind::UnexpectedEof.into())),
        Poll::Ready(Ok(_)) => Ok(Step::Moved),
        Poll::Ready(Err(error)) => Err(RelayError::Downstream(error)),
        Poll::Pending => {
            // What is in a TLS buffer must not wait for what the caller sends next.
            let _ = Pin::new(upstream).poll_flush(cx);
            Ok(Step::Waiting)
        }
    }
}

/// One step of the response's body, the same the other way.
fn poll_response_body<C: Io, U: Io>(
    upstream: &mut BodyHalf<'_, U>,
    caller: &mut C,
    cx: &mut Context<'_>,
) -> Result<Step, RelayError> {
    if upstream.body.ready > 0 {
        return match Pin::new(caller).poll_write(cx, &upstream.buffer.filled()[..upstream.body.ready]) {
            Poll::Ready(Ok(0)) => Err(RelayError::Downstream(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(written)) => {
                upstream.buffer.consume(written);
                upstream.body.ready -= written;
                Ok(Step::Moved)
            }
            Poll::Ready(Err(error)) => Err(RelayError::Downstream(error)),
            Poll::Pending => Ok(Step::Waiting),
        };
    }
    if upstream.body.is_done() {
        return flushed(caller, cx);
    }
    upstream.body.ready =
        upstream.body.framing.take(upstream.buffer.filled()).map_err(RelayError::UpstreamBody)?;
    if upstream.body.ready > 0 || upstream.body.is_done() {
        return Ok(Step::Moved);
    }
    read_down(upstream, caller, cx)
}

/// One step of the response's body in another coding.
fn poll_recoded_body<C: Io, U: Io>(
    upstream: &mut BodyHalf<'_, U>,
    recoder: &mut Recoder,
    caller: &mut C,
    cx: &mut Context<'_>,
) -> Result<Step, RelayError> {
    if !recoder.out.is_empty() {
        return match Pin::new(caller).poll_write(cx, recoder.out.filled()) {
            Poll::Ready(Ok(0)) => Err(RelayError::Downstream(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(written)) => {
                recoder.out.consume(written);
                Ok(Step::Moved)
            }
            Poll::Ready(Err(error)) => Err(RelayError::Downstream(error)),
            Poll::Pending => Ok(Step::Waiting),
        };
    }
    if recoder.ended {
        return flushed(caller, cx);
    }
    recoder.take(&mut upstream.body.framing, upstream.buffer).map_err(RelayError::UpstreamBody)?;
    if recoder.ended || !recoder.out.is_empty() {
        return Ok(Step::Moved);
    }
    read_down(upstream, caller, cx)
}

/// Reads more of the response, and lets what is in the caller's write buffer go meanwhile.
fn read_down<C: Io, U: Io>(
    upstream: &mut BodyHalf<'_, U>,
    caller: &mut C,
    cx: &mut Context<'_>,
) -> Result<Step, RelayError> {
    match upstream.buffer.poll_fill(cx, upstream.io) {
        Poll::Ready(Ok(0)) if upstream.body.framing == Framing::CloseDelimited => {
            upstream.body.framing = Framing::NONE;
            Ok(Step::Moved)
        }
        Poll::Ready(Ok(0)) => Err(RelayError::Upstream(io::ErrorKind::UnexpectedEof.into())),
        Poll::Ready(Ok(_)) => Ok(Step::Moved),
        Poll::Ready(Err(error)) => Err(RelayError::Upstream(error)),
        Poll::Pending => match flushed(caller, cx)? {
            Step::Done | Step::Waiting => Ok(Step::Waiting),
            other => Ok(other),
        },
    }
}

fn flushed<C: Io>(caller: &mut C, cx: &mut Context<'_>) -> Result<Step, RelayError> {
    match Pin::new(caller).poll_flush(cx) {
        Poll::Ready(Ok(())) => Ok(Step::Done),
        Poll::Ready(Err(error)) => Err(RelayError::Downstream(error)),
        Poll::Pending => Ok(Step::Waiting),
    }
}

/// Writes a response's content in another coding: without chunks, or in chunks of its own.
struct Recoder {
    out: Buffer,
    chunked: bool,
    ended: bool,
}

impl Recoder {
    fn of(relay: TransferMode) -> Option<Self> {
        (relay != TransferMode::Passthrough).then(|| Self {
            out: Buffer::acquire(),
            chunked: relay == TransferMode::Chunk,
            ended: false,
        })
    }

    /// Moves all content from `buffer` to the empty `out`.
    fn take(&mut self, framing: &mut Framing, buffer: &mut Buffer) -> Result<(), FramingError> {
        let out = self.out.bytes_mut();
        loop {
            match framing.next(buffer.filled())? {
                Segment::Content(count) if self.chunked => {
                    out.extend_from_slice(format!("{count:x}\r\n").as_bytes());
                    out.extend_from_slice(&buffer.filled()[..count]);
                    out.extend_from_slice(b"\r\n");
                    buffer.consume(count);
                }
                Segment::Content(count) => {
                    out.extend_from_slice(&buffer.filled()[..count]);
                    buffer.consume(count);
                }
                Segment::Framing(count) => buffer.consume(count),
                Segment::NeedMore => break,
            }
        }
        if framing.is_done() {
            self.ended = true;
            if self.chunked {
                out.extend_from_slice(b"0\r\n\r\n");
            }
        }
        Ok(())
    }
}

/// Writes the head in `out` and what was counted of the body behind it, and flushes.
pub(crate) async fn write_response_start<C: Io>(
    caller: &mut C,
    out: &mut Buffer,
    buffer: &mut Buffer,
    body: &mut Body,
    timer: &mut ReusableTimer,
    idle: Duration,
) -> Result<(), RelayError> {
    let ready = std::mem::take(&mut body.ready);
    if ready <= MAX_COPIED {
        out.bytes_mut().extend_from_slice(&buffer.filled()[..ready]);
        buffer.consume(ready);
        return write(caller, out.filled(), timer, idle).await;
    }
    let (head, content) = (out.filled(), &buffer.filled()[..ready]);
    let written = async {
        let mut slices = [IoSlice::new(head), IoSlice::new(content)];
        let mut left = &mut slices[..];
        while !left.is_empty() {
            match caller.write_vectored(left).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => IoSlice::advance_slices(&mut left, count),
            }
        }
        caller.flush().await
    };
    timer.timeout(idle, written).await.map_err(|_| RelayError::Idle)?.map_err(RelayError::Downstream)?;
    buffer.consume(ready);
    Ok(())
}

/// Writes and flushes to the caller.
pub(crate) async fn write<C: Io>(
    caller: &mut C,
    bytes: &[u8],
    timer: &mut ReusableTimer,
    idle: Duration,
) -> Result<(), RelayError> {
    let written = async {
        caller.write_all(bytes).await?;
        caller.flush().await
    };
    timer.timeout(idle, written).await.map_err(|_| RelayError::Idle)?.map_err(RelayError::Downstream)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn what_was_counted_and_not_written_is_neither_done_nor_counted_again() {
        let (mut caller_end, mut caller) = duplex(64);
        let (mut upstream_end, mut upstream) = duplex(4);
        caller_end.write_all(b"0123456789next").await.unwrap();
        upstream_end.write_all(b"HTTP").await.unwrap();
        let (mut buffer, mut answer) = (Buffer::acquire(), Buffer::acquire());
        let mut timer = ReusableTimer::default();
        let mut body = Body::new(Framing::Length(10));
        let mut side = BodyHalf { io: &mut caller, buffer: &mut buffer, body: &mut body };
        let sent = send_request_body(&mut side, &mut upstream, &mut answer, &mut timer, IDLE).await.unwrap();
        assert!(matches!(sent, SendOutcome::EarlyResponse));
        assert!(!side.body.is_done());

        let reading = async {
            let mut read = [0; 10];
            upstream_end.read_exact(&mut read).await.unwrap();
            read
        };
        let (sent, read) =
            tokio::join!(send_request_body(&mut side, &mut upstream, &mut answer, &mut timer, IDLE), reading);
        assert!(matches!(sent, Ok(SendOutcome::Complete)) && side.body.is_done());
        assert_eq!((&read, buffer.filled()), (b"0123456789", &b"next"[..]));
    }
}
