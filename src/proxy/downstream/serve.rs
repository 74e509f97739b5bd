//! Serves one accepted connection: TLS if the listener has it, then the connection's protocols, one after the
//! other. The protocols do not call each other; each one returns the next one.

use std::sync::Arc;

use rustls::ServerConfig;
use zeroize::Zeroizing;

use super::connect::{ConnectTarget, Route};
use super::http1::Next;
use super::linger::linger;
use super::not_http::{NotHttp, TLS_HANDSHAKE};
use super::prefixed_io::Prefixed;
use super::{connect, http1, http2, tls};
use crate::net::buffer::Buffer;
use crate::proxy::connection_limit;
use crate::proxy::error::ErrorReason;
use crate::proxy::peer::{InterceptedBy, Peer, PeerSocket};
use crate::proxy::request::refuse;
use crate::proxy::session::{ConnectionContext, DataPlane, ListenerContext};
use crate::proxy::wire::relay::Io;
use crate::proxy::wire::timer::ReusableTimer;
use crate::tls::server::ListenerTls;

/// Serves one connection of a listener until it ends.
pub(crate) async fn serve<S: Io>(
    plane: &Arc<DataPlane>,
    listener: &Arc<ListenerContext>,
    mut stream: S,
    socket: Option<Arc<dyn PeerSocket>>,
) {
    let mut context = ConnectionContext::new(plane.clone(), listener.clone()).with_peer(Peer::new(socket));
    let Some(_permit) = plane.connection_limit.try_acquire(context.snapshot().max_connections) else {
        // With TLS there is no response, because a handshake would cost too much.
        if listener.tls.is_none() {
            connection_limit::refuse(&mut stream).await;
        }
        plane.metrics.error("", ErrorReason::Overloaded.as_str());
        return;
    };
    let _open = listener.connections.track();
    match &listener.tls {
        None => serve_protocols(&mut context, &mut stream).await,
        // Boxed, so that a connection without TLS does not reserve memory for it.
        Some(tls) => Box::pin(serve_tls(&mut context, stream, tls)).await,
    }
}

/// Does the TLS handshake, and serves the connection if it succeeds. A caller that does not begin with TLS gets an
/// error without it.
async fn serve_tls(context: &mut ConnectionContext, mut stream: impl Io, tls: &ListenerTls) {
    let mut stream = Prefixed::new(None, &mut stream);
    let mut timer = ReusableTimer::default();
    let Ok(Ok(Some(first))) = timer.timeout(tls::HANDSHAKE_TIMEOUT, stream.first()).await else { return };
    if first == TLS_HANDSHAKE {
        if let Some(mut stream) = tls::accept(tls.current(), stream).await {
            if let Some(names) = tls::client_names(&stream) {
                context.peer.set_certificate(names);
                context.identify_peer();
            }
            serve_protocols(context, &mut stream).await;
        }
        return;
    }
    let protocol = NotHttp::on_tls(first);
    let error = protocol.error();
    if protocol == NotHttp::PlainHttp {
        refuse::refuse(context, &mut stream, error.into(), &mut timer).await;
    } else {
        context.plane.metrics.error("", error.reason.as_str());
    }
    linger(&mut stream, &mut Buffer::acquire()).await;
}

/// Serves requests in HTTP/1.1, and what the connection continues with after them.
async fn serve_protocols(context: &mut ConnectionContext, io: &mut impl Io) {
    // Boxed: most connections have no other protocol, and should not reserve memory for one.
    match http1::requests(context, io).await {
        Next::Done => {}
        Next::Http2(read) => Box::pin(http2::serve(context, io, read)).await,
        Next::Connect(read, target) => Box::pin(serve_connect(context, io, read, *target)).await,
    }
}

/// Serves a connection after its `CONNECT`. `read` has the bytes that the caller sent after it.
async fn serve_connect(
    context: &mut ConnectionContext,
    io: &mut impl Io,
    read: Buffer,
    target: ConnectTarget,
) {
    if connect::confirm(io).await.is_err() {
        return;
    }
    match target.route {
        Route::Passthrough(stream, idle) => {
            connect::pass(context, io, &read, stream, idle, target.authority, target.caller).await;
        }
        Route::Intercept(server) => {
            let by = (target.authority, target.credential);
            intercept(context, Prefixed::new(Some(read), io), server, by).await;
        }
    }
}

/// Serves the inside of a `CONNECT` to a service's host, in TLS if the caller begins with it.
async fn intercept<I: Io>(
    context: &mut ConnectionContext,
    mut inner: Prefixed<'_, I>,
    server: Arc<ServerConfig>,
    (authority, credential): (String, Option<Zeroizing<Vec<u8>>>),
) {
    let Some(is_tls) = connect::begins_tls(&mut inner).await else { return };
    context.peer.set_intercepted(InterceptedBy { authority, is_tls, credential });
    if !is_tls {
        serve_intercepted(context, &mut inner).await;
    } else if let Some(mut inner) = tls::accept(server, inner).await {
        serve_intercepted(context, &mut inner).await;
    }
}

/// Serves the protocols inside a `CONNECT`. It is separate from `serve_protocols`, because the type of that
/// future would contain itself.
async fn serve_intercepted(context: &mut ConnectionContext, io: &mut impl Io) {
    match http1::requests(context, io).await {
        Next::Http2(read) => Box::pin(http2::serve(context, io, read)).await,
        // `connect::open` rejects a `CONNECT` within a `CONNECT`.
        Next::Done | Next::Connect(..) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};
    use tokio::time::timeout;

    use super::*;
    use crate::proto::http2::frame::{self, FrameHeader, HEADER_LENGTH, PREFACE, flag, kind};
    use crate::proxy::session::Exposure;

    /// With what tokio and the accept loop add to it, the task of a connection takes 3,584 bytes: a size class of the allocator, whose
    /// next one is 4,096.
    #[tokio::test]
    async fn future_of_a_connection_fits_its_size_class() {
        let (plane, connections) = (Arc::new(DataPlane::empty()), Arc::default());
        let listener = Arc::new(ListenerContext::new(None, Exposure::Unix, None, connections));
        let serving = serve(&plane, &listener, duplex(1).0, None);
        let size = size_of_val(&serving);
        assert!(size <= 3376, "{size} bytes");
    }

    /// A caller that sends more than its answers have room for, and then reads all of them at once.
    #[tokio::test(start_paused = true)]
    async fn http2_is_read_again_after_all_that_waited_was_written() {
        const PINGS: usize = 12_500;
        // Twice what waits to be written at most, and less than all answers.
        const ROOM: usize = 128 * 1024;
        let (plane, connections) = (Arc::new(DataPlane::empty()), Arc::default());
        let listener = Arc::new(ListenerContext::new(None, Exposure::Unix, None, connections));
        let (caller, server) = duplex(ROOM);
        tokio::spawn(async move { serve(&plane, &listener, server, None).await });
        let (mut answers, mut requests) = split(caller);
        let mut bytes = PREFACE.to_vec();
        frame::put_settings(&mut bytes, &[]);
        (0..PINGS).for_each(|_| frame::put(&mut bytes, kind::PING, 0, 0, b"12345678"));
        tokio::spawn(async move {
            requests.write_all(&bytes).await.expect("the pings are read");
            std::future::pending::<()>().await;
        });
        // Time passes when both sides wait.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (mut answered, mut received) = (0, Vec::with_capacity(2 * ROOM));
        while answered < PINGS {
            assert_ne!(answers.read_buf(&mut received).await.unwrap(), 0, "{answered} pings were answered");
            let mut rest = &received[..];
            while let Some(header) = FrameHeader::read(rest) {
                let Some(next) = rest.get(HEADER_LENGTH + header.length..) else { break };
                answered += usize::from(header.kind == kind::PING && header.has(flag::ACK));
                rest = next;
            }
            let used = received.len() - rest.len();
            received.drain(..used);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn idle_waits_for_the_last_request() {
        let plane = Arc::new(DataPlane::empty());
        plane.drain();
        timeout(Duration::from_secs(1), plane.idle()).await.expect("nothing is in flight");
        let (one, two) = (plane.track(), plane.track());
        let waiting = tokio::spawn({
            let plane = plane.clone();
            async move { plane.idle().await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(one);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        drop(two);
        timeout(Duration::from_secs(1), waiting).await.expect("woken by the last one").unwrap();
    }
}
