//! One connection and its streams. All streams of a connection run in one task, so that one write sends the
//! frames of several streams.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::stream::Stream;
use crate::net::buffer::Buffer;
use crate::net::http2::{Accepted, End, FramesIo, Requests, StreamError};
use crate::proto::http2::Reason;
use crate::proxy::downstream::linger::linger_up_to;
use crate::proxy::downstream::timeouts::LINGER_TIMEOUT;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::request::exchange;
use crate::proxy::request::outcome::Disposition;
use crate::proxy::request::refuse;
use crate::proxy::session::ConnectionContext;
use crate::proxy::wire::relay::{Io, RelayError};
use crate::proxy::wire::timer::ReusableTimer;

/// The part of the connection preface that has the form of an HTTP/1.1 head (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
/// The limit on the bytes that are read after the last frame was sent: what a caller sends before it has read that.
const MAX_LAST_BYTES: usize = 256 * 1024;
/// The limit on concurrent streams of one connection.
const MAX_CONCURRENT_STREAMS: u32 = 128;

/// Serves the streams of a connection until it ends. `buffer` has the bytes that were read already.
pub(crate) async fn serve(context: &ConnectionContext, io: &mut impl Io, buffer: Buffer) {
    let mut timer = ReusableTimer::default();
    let plane = context.plane.clone();
    let _open = plane.track_http2();
    let mut frames = FramesIo::server(&mut *io, buffer, MAX_CONCURRENT_STREAMS);
    let ended = match timer.timeout(head_limit(context), frames.read_preface()).await {
        Ok(Ok(())) => run(Arc::new(context.clone()), &mut frames, &mut timer).await,
        Ok(Err(end)) => Err(end),
        Err(_) => return,
    };
    let reason = match &ended {
        Ok(()) => Reason::NO_ERROR,
        Err(end) => {
            tracing::debug!("a caller's HTTP/2 connection ends: {end}");
            if let End::Error(reason) = end { *reason } else { Reason::NO_ERROR }
        }
    };
    frames.go_away(reason);
    let _ = timer.timeout(LINGER_TIMEOUT, poll_fn(|cx| frames.poll_write_out(cx))).await;
    drop(frames);
    // The caller may be sending still, if only an acknowledgement: a close before it is read would be a reset, which can
    // discard the last frames.
    linger_up_to(MAX_LAST_BYTES, io, &mut Buffer::acquire()).await;
}

/// Serves streams until the connection ends, is idle for too long, does not complete a head in time, or has drained.
async fn run<I: Io>(
    context: Arc<ConnectionContext>,
    frames: &mut FramesIo<&mut I, Requests>,
    timer: &mut ReusableTimer,
) -> Result<(), End> {
    let mut streams = FuturesUnordered::new();
    // The timers of streams that have ended, for the next ones.
    let mut unused_timers = Vec::new();
    let mut current = context.clone();
    let mut draining = pin!(context.draining());
    let mut is_draining = false;
    // Counts as in flight until the last responses of a draining connection were written.
    let mut last_responses = None;
    // What the limit of `downstream_timeouts.head` runs for.
    let mut unfinished = None;
    poll_fn(|cx| {
        frames.begin_poll();
        loop {
            if !is_draining && draining.as_mut().poll(cx).is_ready() {
                is_draining = true;
                last_responses = (!streams.is_empty()).then(|| context.plane.track());
                frames.begin_drain();
            }
            frames.begin_turn();
            let received = match frames.poll_receive(cx) {
                Poll::Ready(Err(end)) => return Poll::Ready(Err(end)),
                Poll::Ready(Ok(())) => true,
                Poll::Pending => false,
            };
            while let Some(accepted) = frames.next_accepted() {
                if let Some(renewed) = current.with_current_snapshot() {
                    current = Arc::new(renewed);
                }
                match accepted {
                    Accepted::Rejected(why) => record_rejection(&current, why),
                    Accepted::Request { stream, buffer, head, has_body } => {
                        let begun = Begun {
                            stream: Stream::new(stream, &head, has_body),
                            buffer,
                            must_be_empty: has_body && head.content_length == Some(0),
                        };
                        let timer = unused_timers.pop().unwrap_or_default();
                        streams.push(serve_stream(current.clone(), begun, timer));
                    }
                }
            }
            let is_idle = loop {
                match streams.poll_next_unpin(cx) {
                    Poll::Ready(Some(mut timer)) => {
                        timer.release_task();
                        unused_timers.push(timer);
                    }
                    Poll::Ready(None) => break true,
                    Poll::Pending => break false,
                }
            };
            let written = frames.poll_write_out(cx)?;
            if received || frames.is_turn_due() || frames.can_receive_again() {
                continue;
            }
            if is_idle && frames.is_drained() && written.is_ready() {
                return Poll::Ready(Ok(()));
            }
            // The limit starts again with each head, and not with each byte.
            let before = std::mem::replace(&mut unfinished, frames.unfinished(is_idle));
            if unfinished != before {
                timer.reset();
            }
            let limits = &current.snapshot().downstream_timeouts;
            if is_idle && is_draining {
                return timer.poll_elapsed(LINGER_TIMEOUT, cx).map(Ok);
            }
            if unfinished.is_some() {
                return timer.poll_elapsed(limits.head, cx).map(|()| {
                    record_rejection(&current, "what the caller has begun to send is not complete in time");
                    Err(End::Failed(io::ErrorKind::TimedOut.into()))
                });
            }
            if is_idle {
                return timer.poll_elapsed(limits.keep_alive, cx).map(Ok);
            }
            timer.reset();
            return Poll::Pending;
        }
    })
    .await
}

/// A stream whose head was translated.
struct Begun {
    stream: Stream,
    /// The head as that of HTTP/1.1.
    buffer: Buffer,
    /// Whether the stream goes on after a head that says that there is no content.
    must_be_empty: bool,
}

/// Serves one stream; returns its timer.
async fn serve_stream(
    context: Arc<ConnectionContext>,
    mut begun: Begun,
    mut timer: ReusableTimer,
) -> ReusableTimer {
    // In place: what is moved out of an argument takes its space a second time.
    let Begun { stream, buffer, must_be_empty } = &mut begun;
    // The upstream would have the whole request before anything is known of a body that must not be there.
    if *must_be_empty
        && !matches!(timer.timeout(head_limit(&context), Box::pin(stream.is_empty())).await, Ok(true))
    {
        record_rejection(&context, "it does not end without content, though its length is 0");
        stream.reset(Reason::PROTOCOL_ERROR);
        return timer;
    }
    let length = buffer.filled().len();
    if context.is_service_removed() {
        refuse::refuse(&context, stream, ProxyError::service_removed().into(), &mut timer).await;
        return timer;
    }
    match exchange::run(&context, stream, buffer, length, true, &mut timer).await {
        Disposition::KeepAlive => {}
        // A stream whose response is complete and whose request is not is reset with NO_ERROR (RFC 9113 §8.1).
        Disposition::LingeringClose | Disposition::Close => {
            let _ = timer.timeout(LINGER_TIMEOUT, stream.linger()).await;
        }
        Disposition::Abort(error) => stream.reset(reset_reason(&error)),
    }
    timer
}

fn head_limit(context: &ConnectionContext) -> Duration {
    context.snapshot().downstream_timeouts.head
}

/// Records that a request gets no response of its own: it is malformed (RFC 9113 §8.1.1), or its head is too large.
fn record_rejection(context: &ConnectionContext, why: &str) {
    context.plane.metrics.error("", ErrorReason::BadRequest.as_str());
    tracing::debug!("a request in HTTP/2 is rejected: {why}");
}

/// The error code for a response that is aborted (RFC 9113 §7).
fn reset_reason(error: &RelayError) -> Reason {
    let (RelayError::Downstream(source) | RelayError::Upstream(source)) = error else {
        return match error {
            RelayError::DownstreamBody(_) => Reason::PROTOCOL_ERROR,
            _ => Reason::INTERNAL_ERROR,
        };
    };
    match StreamError::find(source) {
        // Codes of the upstream's stream are passed on. Codes of its connection do not concern the caller.
        Some(StreamError::ResetByPeer(
            reason @ (Reason::CANCEL | Reason::REFUSED_STREAM | Reason::ENHANCE_YOUR_CALM),
        )) => reason,
        Some(StreamError::ResetByPeer(Reason::NO_ERROR)) => Reason::CANCEL,
        _ => Reason::INTERNAL_ERROR,
    }
}
