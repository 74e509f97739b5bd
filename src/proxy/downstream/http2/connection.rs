//! One connection and its streams. All streams of a connection are one task, so that what many of them say goes out in one write.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;

use super::stream::Stream;
use crate::net::buffer::Buffer;
use crate::proto::http2::{heads, limits};
use crate::proxy::downstream::prefixed_io::Prefixed;
use crate::proxy::downstream::timeouts::{HEAD_TIMEOUT, KEEP_ALIVE_TIMEOUT, LINGER_TIMEOUT};
use crate::proxy::error::ProxyError;
use crate::proxy::request::exchange;
use crate::proxy::request::outcome::Disposition;
use crate::proxy::request::refuse;
use crate::proxy::session::ConnectionContext;
use crate::proxy::wire::relay::{Io, RelayError};
use crate::proxy::wire::timer::ReusableTimer;

/// What a caller's first bytes are, as far as they look like a head.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
/// Requests of one connection at a time.
const STREAMS: u32 = 128;

/// Serves the streams of a connection until it ends. `buffer` holds what was read of it already.
pub(crate) async fn serve(context: ConnectionContext, io: &mut impl Io, buffer: Buffer) {
    let mut timer = ReusableTimer::default();
    let opening = limits::server_builder(STREAMS).handshake::<_, Bytes>(Prefixed::new(buffer, io));
    let Ok(Ok(mut connection)) = timer.timeout(HEAD_TIMEOUT, opening).await else { return };
    let ended = run(Arc::new(context), &mut connection, &mut timer).await;
    if let Err(error) = ended {
        tracing::debug!("a caller's HTTP/2 connection broke: {error}");
    }
    connection.abrupt_shutdown(Reason::NO_ERROR);
    let _ = timer.timeout(LINGER_TIMEOUT, poll_fn(|cx| connection.poll_closed(cx))).await;
}

async fn run<I: Io>(
    context: Arc<ConnectionContext>,
    connection: &mut Connection<Prefixed<'_, I>, Bytes>,
    timer: &mut ReusableTimer,
) -> Result<(), h2::Error> {
    let mut streams = FuturesUnordered::new();
    // One timer for each stream that there is at a time.
    let mut spare = Vec::new();
    let mut current = context.clone();
    let mut draining = pin!(context.draining());
    let mut is_draining = false;
    // Counts while the last answers of a connection that is to end are still going out.
    let mut leaving = None;
    poll_fn(|cx| {
        if !is_draining && draining.as_mut().poll(cx).is_ready() {
            is_draining = true;
            leaving = (!streams.is_empty()).then(|| context.plane.track());
            connection.graceful_shutdown();
        }
        // Writes as well: everything that the streams said since the last time, at once.
        while let Poll::Ready(accepted) = connection.poll_accept(cx) {
            match accepted {
                Some(Ok((request, respond))) => {
                    if let Some(renewed) = current.with_current_snapshot() {
                        current = Arc::new(renewed);
                    }
                    let timer = spare.pop().unwrap_or_default();
                    streams.push(answer(current.clone(), request, respond, timer));
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
        loop {
            match streams.poll_next_unpin(cx) {
                Poll::Ready(Some(timer)) => spare.push(timer),
                Poll::Ready(None) => {
                    let limit = if is_draining { LINGER_TIMEOUT } else { KEEP_ALIVE_TIMEOUT };
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

/// Serves one stream; gives its timer back.
async fn answer(
    context: Arc<ConnectionContext>,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    mut timer: ReusableTimer,
) -> ReusableTimer {
    let (parts, body) = request.into_parts();
    let mut buffer = Buffer::acquire();
    heads::write_request(buffer.bytes_mut(), &parts, !body.is_end_stream());
    let length = buffer.filled().len();
    let mut stream = Stream::new(&parts, body, respond);
    drop(parts);
    if context.is_service_removed() {
        refuse::refuse(&context, &mut stream, ProxyError::service_removed().into(), &mut timer).await;
        return timer;
    }
    match exchange::run(&context, &mut stream, &mut buffer, length, true, &mut timer).await {
        Disposition::KeepAlive => {}
        // What was answered before all of the request came ends with NO_ERROR, without a word of ours.
        Disposition::LingeringClose | Disposition::Close => {
            let _ = timer.timeout(LINGER_TIMEOUT, stream.linger()).await;
        }
        Disposition::Abort(broken) => {
            // What was taken before goes out before: a reset drops what waits.
            tokio::task::yield_now().await;
            stream.reset(reason(&broken));
        }
    }
    timer
}

/// What a caller is told of an answer that ends before its time (RFC 9113 §7).
fn reason(broken: &RelayError) -> Reason {
    let (RelayError::Downstream(error) | RelayError::Upstream(error)) = broken else {
        return match broken {
            RelayError::DownstreamBody(_) => Reason::PROTOCOL_ERROR,
            _ => Reason::INTERNAL_ERROR,
        };
    };
    let told =
        error.get_ref().and_then(|error| error.downcast_ref::<h2::Error>()).and_then(h2::Error::reason);
    match told {
        // What the upstream said of the stream is the caller's to know; what it said of its connection is not.
        Some(reason @ (Reason::CANCEL | Reason::REFUSED_STREAM | Reason::ENHANCE_YOUR_CALM)) => reason,
        Some(Reason::NO_ERROR) => Reason::CANCEL,
        _ => Reason::INTERNAL_ERROR,
    }
}
