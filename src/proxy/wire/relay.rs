//! Moves bodies: the request's to the upstream and the response's to the caller, at the same time if both are
//! sent.
//!
//! What was read is written before more is read, so that memory stays bounded and each byte passes at once.
//! The futures are written by hand, because both directions share the same two connections.
//!
//! Each direction has a [`Buffer`]. The framing counts which bytes at its front belong to the body:
//!
//! ```text
//! buffer:  | ready: counted, to be written | not counted yet |
//! ```
//!
//! One step either writes bytes that are ready, or counts bytes if none are ready, or reads if nothing is
//! left to count. Bytes behind the end of the body are never counted: they belong to the next message.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::body::Body;
use super::body_guard::BodyGuard;
use super::framing::{Framing, FramingError};
use super::recoder::Recoder;
use super::timer::ReusableTimer;
use super::write_head::TransferMode;
use crate::net::buffer::Buffer;

/// The limit on the bytes of a body that are copied behind its head. Up to that, a copy costs less than a
/// vectored write.
const MAX_COPIED_BYTES: usize = 4096;

/// A duplex connection.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// One direction: the connection that a body is read from, and what was read and not yet written.
pub(crate) struct BodyHalf<'a, 'g, S> {
    pub(crate) io: &'a mut S,
    pub(crate) buffer: &'a mut Buffer,
    pub(crate) body: &'a mut Body<'g>,
}

/// Why a body could not be moved on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    #[error("the caller's connection failed: {0}")]
    Downstream(io::Error),
    #[error("the upstream's connection failed: {0}")]
    Upstream(io::Error),
    #[error("the request's body is malformed: {0}")]
    DownstreamBody(FramingError),
    #[error("the upstream's body is malformed: {0}")]
    UpstreamBody(FramingError),
    #[error("no byte was moved within the idle timeout")]
    Idle,
    #[error("no byte of the request's body came within the idle timeout")]
    DownstreamIdle,
}

/// How sending the body of a request ended.
pub(crate) enum SendOutcome {
    /// The whole body was written.
    Complete,
    /// The upstream sent a part of its response before it had the whole body.
    EarlyResponse,
    /// The upstream accepts no more bytes. It may have sent a response with the reason.
    WriteFailed(io::Error),
}

/// Sends the body of a request until it ends or a part of the response comes.
pub(crate) async fn send_request_body<C: Io, U: Io>(
    caller: &mut BodyHalf<'_, '_, C>,
    upstream: &mut U,
    response: &mut Buffer,
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
            // Polled after every step: a caller that sends without a pause must not delay its own response.
            return match response.poll_fill(cx, upstream) {
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
                    // If all bytes that are ready were written, the caller is the one that is late.
                    let error =
                        if caller.body.awaits_more() { RelayError::DownstreamIdle } else { RelayError::Idle };
                    timer.poll_elapsed(idle, cx).map(|()| Err(error))
                }
            };
        }
    })
    .await
}

/// Passes the body of the response to the caller, and what remains of the request's body to the upstream. A `guard` searches the
/// first part of the response's body.
/// Ends when the response is complete, or with an error if the caller closes its connection. Returns whether
/// the whole body of the request was sent.
pub(crate) async fn relay_bodies<C: Io, U: Io>(
    caller: &mut BodyHalf<'_, '_, C>,
    upstream: &mut BodyHalf<'_, '_, U>,
    mode: TransferMode,
    guard: Option<Box<BodyGuard<'_>>>,
    timer: &mut ReusableTimer,
    idle: Duration,
) -> Result<bool, RelayError> {
    let mut recoder = Recoder::of(mode, &upstream.body.framing, guard);
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
                    // An upstream that accepts no more bytes may still send its response.
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

/// Reads more of the head of the response. Fails if the caller closes its connection.
pub(crate) async fn await_response_head<C: Io, U: Io>(
    caller: &mut C,
    buffer: &mut Buffer,
    upstream: &mut U,
    response: &mut Buffer,
) -> Result<io::Result<usize>, RelayError> {
    poll_fn(|cx| match response.poll_fill(cx, upstream) {
        Poll::Ready(read) => Poll::Ready(Ok(read)),
        Poll::Pending => match poll_downstream_closed(caller, buffer, cx) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        },
    })
    .await
}

/// Waits for `future`. Fails if the caller closes its connection meanwhile. What it sends is read once: from then on it is not
/// known whether it closes.
pub(crate) async fn while_connected<C: Io, T>(
    caller: &mut C,
    buffer: &mut Buffer,
    future: impl Future<Output = T>,
) -> Result<T, RelayError> {
    let mut future = pin!(future);
    let mut is_silent = true;
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if is_silent {
            match poll_downstream(caller, buffer, cx) {
                Ok(is_ready) => is_silent = !is_ready,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    })
    .await
}

/// Fails if a caller whose request was read completely has closed its connection. A half-close counts as a
/// close, as with other proxies: the two look alike, and otherwise the upstream would process an abandoned
/// request to its end. Bytes of the caller's next request stay in `buffer`, up to its size.
fn poll_downstream_closed<C: Io>(
    caller: &mut C,
    buffer: &mut Buffer,
    cx: &mut Context<'_>,
) -> Result<(), RelayError> {
    if buffer.is_empty() { poll_downstream(caller, buffer, cx).map(drop) } else { Ok(()) }
}

/// Reads what the caller sends, into `buffer`; returns whether it has sent anything. Fails if it has closed its connection.
fn poll_downstream<C: Io>(
    caller: &mut C,
    buffer: &mut Buffer,
    cx: &mut Context<'_>,
) -> Result<bool, RelayError> {
    match buffer.poll_fill(cx, caller) {
        Poll::Ready(Ok(0)) => Err(RelayError::Downstream(io::ErrorKind::UnexpectedEof.into())),
        Poll::Ready(Ok(_)) => Ok(true),
        Poll::Ready(Err(error)) => Err(RelayError::Downstream(error)),
        Poll::Pending => Ok(false),
    }
}

enum Step {
    Moved,
    Waiting,
    Done,
    WriteFailed(io::Error),
}

/// One step of the request's body: writes what is ready, or counts, or reads.
fn poll_request_body<C: Io, U: Io>(
    caller: &mut BodyHalf<'_, '_, C>,
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
            // Bytes in the write buffer of TLS must not wait until the caller sends more.
            let _ = Pin::new(upstream).poll_flush(cx);
            Ok(Step::Waiting)
        }
    }
}

/// One step of the response's body: writes what is ready, or counts, or reads.
fn poll_response_body<C: Io, U: Io>(
    upstream: &mut BodyHalf<'_, '_, U>,
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
        return poll_flush(caller, cx);
    }
    upstream.body.ready =
        upstream.body.take_of_response(upstream.buffer.filled_mut()).map_err(RelayError::UpstreamBody)?;
    if upstream.body.ready > 0 || upstream.body.is_done() {
        return Ok(Step::Moved);
    }
    poll_read_response(upstream, caller, cx)
}

/// One step of a body that is recoded: writes what was recoded, or recodes, or reads.
fn poll_recoded_body<C: Io, U: Io>(
    upstream: &mut BodyHalf<'_, '_, U>,
    recoder: &mut Recoder<'_>,
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
    if recoder.is_done {
        return poll_flush(caller, cx);
    }
    recoder.recode(upstream.body, upstream.buffer).map_err(RelayError::UpstreamBody)?;
    if recoder.is_done || !recoder.out.is_empty() {
        return Ok(Step::Moved);
    }
    poll_read_response(upstream, caller, cx)
}

/// Reads more of the response. Flushes the caller's connection while none comes.
fn poll_read_response<C: Io, U: Io>(
    upstream: &mut BodyHalf<'_, '_, U>,
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
        Poll::Pending => match poll_flush(caller, cx)? {
            Step::Done | Step::Waiting => Ok(Step::Waiting),
            other => Ok(other),
        },
    }
}

fn poll_flush<C: Io>(caller: &mut C, cx: &mut Context<'_>) -> Result<Step, RelayError> {
    match Pin::new(caller).poll_flush(cx) {
        Poll::Ready(Ok(())) => Ok(Step::Done),
        Poll::Ready(Err(error)) => Err(RelayError::Downstream(error)),
        Poll::Pending => Ok(Step::Waiting),
    }
}

/// Writes and flushes the head in `out`, and behind it the bytes of the body that are ready.
pub(crate) async fn write_response_start<C: Io>(
    caller: &mut C,
    out: &mut Buffer,
    buffer: &mut Buffer,
    body: &mut Body<'_>,
    timer: &mut ReusableTimer,
    idle: Duration,
) -> Result<(), RelayError> {
    let ready = std::mem::take(&mut body.ready);
    if ready <= MAX_COPIED_BYTES {
        out.bytes_mut().extend_from_slice(&buffer.filled()[..ready]);
        buffer.consume(ready);
        return write(caller, out.filled(), timer, idle).await;
    }
    let (head, content) = (out.filled(), &buffer.filled()[..ready]);
    let written = async {
        let mut slices = [IoSlice::new(head), IoSlice::new(content)];
        let mut unwritten = &mut slices[..];
        while !unwritten.is_empty() {
            match caller.write_vectored(unwritten).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => IoSlice::advance_slices(&mut unwritten, count),
            }
        }
        caller.flush().await
    };
    timer.timeout(idle, written).await.map_err(|_| RelayError::Idle)?.map_err(RelayError::Downstream)?;
    buffer.consume(ready);
    Ok(())
}

/// Writes `bytes` to the caller and flushes.
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
    async fn counted_bytes_are_not_counted_again_after_early_response() {
        let (mut caller_end, mut caller) = duplex(64);
        let (mut upstream_end, mut upstream) = duplex(4);
        caller_end.write_all(b"0123456789next").await.unwrap();
        upstream_end.write_all(b"HTTP").await.unwrap();
        let (mut buffer, mut response) = (Buffer::acquire(), Buffer::acquire());
        let mut timer = ReusableTimer::default();
        let mut body = Body::new(Framing::Length(10));
        let mut half = BodyHalf { io: &mut caller, buffer: &mut buffer, body: &mut body };
        let sent =
            send_request_body(&mut half, &mut upstream, &mut response, &mut timer, IDLE).await.unwrap();
        assert!(matches!(sent, SendOutcome::EarlyResponse));
        assert!(!half.body.is_done());

        let reading = async {
            let mut read = [0; 10];
            upstream_end.read_exact(&mut read).await.unwrap();
            read
        };
        let (sent, read) = tokio::join!(
            send_request_body(&mut half, &mut upstream, &mut response, &mut timer, IDLE),
            reading
        );
        assert!(matches!(sent, Ok(SendOutcome::Complete)) && half.body.is_done());
        assert_eq!((&read, buffer.filled()), (b"0123456789", &b"next"[..]));
    }
}
