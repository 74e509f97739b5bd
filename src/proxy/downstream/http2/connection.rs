//! One connection and its streams. All streams of a connection run in one task, so that one write sends the
//! frames of several streams.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;

use super::inspected_io::Inspected;
use super::stream::Stream;
use crate::net::buffer::Buffer;
use crate::net::coalescing::Coalescing;
use crate::proto::http2::{Findings, heads, is_well_formed, limits};
use crate::proxy::downstream::linger::linger_up_to;
use crate::proxy::downstream::prefixed_io::Prefixed;
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
    let findings = Arc::<Findings>::default();
    let plane = context.plane.clone();
    let _open = plane.track_http2();
    let inspected = Inspected::new(Prefixed::new(buffer, io), findings.clone());
    let handshake =
        limits::server_builder(MAX_CONCURRENT_STREAMS).handshake::<_, Bytes>(Coalescing::new(inspected));
    // Boxed: the future of a connection keeps the space for what it awaits.
    let Ok(Ok(mut connection)) = timer.timeout(head_limit(context), Box::pin(handshake)).await else { return };
    if let Err(error) = run(Arc::new(context.clone()), &mut connection, &findings, &mut timer).await {
        tracing::debug!("a caller's HTTP/2 connection failed: {error}");
    }
    let is_flood = findings.is_flood();
    if is_flood {
        tracing::debug!("a caller's HTTP/2 connection ends: too many frames without content");
    }
    connection.abrupt_shutdown(if is_flood { Reason::ENHANCE_YOUR_CALM } else { Reason::NO_ERROR });
    let _ = timer.timeout(LINGER_TIMEOUT, poll_fn(|cx| connection.poll_closed(cx))).await;
    drop(connection);
    // The caller may be sending still, if only an acknowledgement: a close before it is read would be a reset, which can
    // discard the last frames.
    linger_up_to(MAX_LAST_BYTES, io, &mut Buffer::acquire()).await;
}

/// Serves streams until the connection ends, is idle for too long, or has drained.
async fn run<I: Io>(
    context: Arc<ConnectionContext>,
    connection: &mut Connection<Coalescing<Inspected<Prefixed<'_, I>>>, Bytes>,
    findings: &Arc<Findings>,
    timer: &mut ReusableTimer,
) -> Result<(), h2::Error> {
    let mut streams = FuturesUnordered::new();
    // The timers of streams that have ended, for the next ones.
    let mut unused_timers = Vec::new();
    let mut current = context.clone();
    let mut draining = pin!(context.draining());
    let mut is_draining = false;
    // Counts as in flight until the last responses of a draining connection were written.
    let mut last_responses = None;
    poll_fn(|cx| {
        if findings.is_flood() {
            return Poll::Ready(Ok(()));
        }
        if !is_draining && (findings.has_malformed() || draining.as_mut().poll(cx).is_ready()) {
            is_draining = true;
            last_responses = (!streams.is_empty()).then(|| context.plane.track());
            connection.graceful_shutdown();
        }
        // Also writes all frames that the streams have queued since the last call.
        while let Poll::Ready(accepted) = connection.poll_accept(cx) {
            match accepted {
                Some(Ok((request, respond))) => {
                    if let Some(renewed) = current.with_current_snapshot() {
                        current = Arc::new(renewed);
                    }
                    if let Some(begun) = begin(&current, request, respond, findings) {
                        let timer = unused_timers.pop().unwrap_or_default();
                        streams.push(serve_stream(current.clone(), begun, timer));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
        loop {
            match streams.poll_next_unpin(cx) {
                Poll::Ready(Some(mut timer)) => {
                    timer.release_task();
                    unused_timers.push(timer);
                }
                Poll::Ready(None) => {
                    let limit = if is_draining {
                        LINGER_TIMEOUT
                    } else {
                        current.snapshot().downstream_timeouts.keep_alive
                    };
                    return timer.poll_elapsed(limit, cx).map(Ok);
                }
                Poll::Pending => {
                    timer.reset();
                    return Poll::Pending;
                }
            }
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

/// Translates the head of a request; `None` if the stream was reset.
fn begin(
    context: &ConnectionContext,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    findings: &Arc<Findings>,
) -> Option<Begun> {
    let (parts, body) = request.into_parts();
    let malformed = || (!is_well_formed(&parts)).then_some(Reason::PROTOCOL_ERROR);
    if let Some(reason) = findings.rejection(respond.stream_id().as_u32()).or_else(malformed) {
        record_rejection(context, reason);
        respond.send_reset(reason);
        return None;
    }
    let has_body = !body.is_end_stream();
    let mut buffer = Buffer::acquire();
    heads::write_request(buffer.bytes_mut(), &parts, has_body);
    let must_be_empty = has_body && heads::length(&parts.headers) == Some(0);
    Some(Begun { stream: Stream::new(&parts, body, respond, findings.clone()), buffer, must_be_empty })
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
        record_rejection(&context, Reason::PROTOCOL_ERROR);
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
        // The `h2` crate resets a stream with NO_ERROR if its response is complete and its request is not
        // (RFC 9113 §8.1).
        Disposition::LingeringClose | Disposition::Close => {
            let _ = timer.timeout(LINGER_TIMEOUT, stream.linger()).await;
        }
        Disposition::Abort(error) => {
            // A reset drops queued frames, so those are written first.
            tokio::task::yield_now().await;
            stream.reset(reset_reason(&error));
        }
    }
    timer
}

fn head_limit(context: &ConnectionContext) -> Duration {
    context.snapshot().downstream_timeouts.head
}

/// Records that the stream of a request is reset, which is malformed (RFC 9113 §8.1.1) or not processed.
fn record_rejection(context: &ConnectionContext, reason: Reason) {
    context.plane.metrics.error("", ErrorReason::BadRequest.as_str());
    tracing::debug!("a request in HTTP/2 is rejected: {reason}");
}

/// The error code for a response that is aborted (RFC 9113 §7).
fn reset_reason(error: &RelayError) -> Reason {
    let (RelayError::Downstream(source) | RelayError::Upstream(source)) = error else {
        return match error {
            RelayError::DownstreamBody(_) => Reason::PROTOCOL_ERROR,
            _ => Reason::INTERNAL_ERROR,
        };
    };
    let reason =
        source.get_ref().and_then(|error| error.downcast_ref::<h2::Error>()).and_then(h2::Error::reason);
    match reason {
        // Codes of the upstream's stream are passed on. Codes of its connection do not concern the caller.
        Some(reason @ (Reason::CANCEL | Reason::REFUSED_STREAM | Reason::ENHANCE_YOUR_CALM)) => reason,
        Some(Reason::NO_ERROR) => Reason::CANCEL,
        _ => Reason::INTERNAL_ERROR,
    }
}
