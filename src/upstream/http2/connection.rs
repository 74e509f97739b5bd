//! One HTTP/2 connection to an upstream.

use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{Ping, SendStream};
use http::uri::Scheme;
use http::{HeaderName, Request};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};

use super::liveness::{Liveness, PingHandle};
use crate::net::coalescing::Coalescing;
use crate::proto::http2::limits;

/// Time within which a connection acknowledges a PING; otherwise it is closed.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that requests share.
pub(super) struct SharedConnection {
    send: SendRequest<Bytes>,
    pub(super) scheme: Scheme,
    /// The peer; the forward proxy, if there is one.
    pub(super) address: SocketAddr,
    /// Names of the fields that hold the service's credential, which must not enter the HPACK table.
    pub(super) sensitive_headers: Arc<[HeaderName]>,
    /// Number of requests in flight.
    active: AtomicUsize,
    /// When the last request ended.
    idle_since: Mutex<Instant>,
    liveness: Arc<Liveness>,
}

impl SharedConnection {
    /// Does the handshake over `io`, and starts the task that drives the connection.
    pub(super) async fn open(
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        scheme: Scheme,
        address: SocketAddr,
        sensitive_headers: Arc<[HeaderName]>,
        max_head: u32,
    ) -> io::Result<Arc<Self>> {
        let io = Coalescing::with_secrets(io);
        let handshake = limits::client_builder(max_head).handshake::<_, Bytes>(io);
        let (send, mut connection) = handshake.await.map_err(io::Error::other)?;
        // The upstream's settings come first. They say how many streams it accepts at a time.
        poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(io::Error::other(error))),
            Poll::Pending if send.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        })
        .await?;
        let liveness = Arc::<Liveness>::default();
        tokio::spawn(drive(connection, liveness.clone()));
        Ok(Arc::new(Self {
            send,
            scheme,
            address,
            sensitive_headers,
            active: AtomicUsize::new(0),
            idle_since: Mutex::new(Instant::now()),
            liveness,
        }))
    }

    /// Whether the connection neither failed nor received a GOAWAY.
    pub(super) fn is_open(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        !matches!(self.send.clone().poll_ready(&mut context), Poll::Ready(Err(_)))
    }

    /// Whether the connection may carry another request.
    pub(super) fn has_capacity(&self) -> bool {
        !self.liveness.is_unconfirmed()
            && self.active.load(Ordering::Relaxed) < self.send.current_max_send_streams()
    }

    /// Whether the connection has carried no request for this time.
    pub(super) fn is_idle_for(&self, time: Duration) -> bool {
        self.active.load(Ordering::Relaxed) == 0 && self.idle_since.lock().elapsed() >= time
    }

    /// Counts a request; [`request_ended`](Self::request_ended) must follow.
    pub(super) fn request_started(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the end of a request.
    pub(super) fn request_ended(&self) {
        *self.idle_since.lock() = Instant::now();
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// Opens a stream. `is_end`: the request has no body.
    pub(super) fn send_request(
        &self,
        request: Request<()>,
        is_end: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        self.send.clone().send_request(request, is_end)
    }

    /// A handle to check the connection with a PING.
    pub(super) fn ping_handle(&self) -> PingHandle {
        PingHandle::new(self.liveness.clone())
    }
}

/// Drives the connection until it ends: the upstream closes it, no request and no pool refers to it, or a
/// PING is not acknowledged.
///
/// A PING is sent only after a request on the connection got no response: some upstreams treat frequent pings
/// as an attack.
async fn drive<I: AsyncRead + AsyncWrite + Unpin>(
    mut connection: Connection<I, Bytes>,
    liveness: Arc<Liveness>,
) {
    let Some(mut pings) = connection.ping_pong() else { return };
    let pinging = async {
        loop {
            liveness.ping_requested().await;
            let pong = tokio::time::timeout(PING_TIMEOUT, pings.ping(Ping::opaque())).await;
            if !matches!(pong, Ok(Ok(_))) {
                return;
            }
            liveness.confirm();
        }
    };
    tokio::select! {
        ended = &mut connection => if let Err(error) = ended {
            tracing::debug!("an HTTP/2 connection to an upstream failed: {error}");
        },
        () = pinging => tracing::debug!("an HTTP/2 connection to an upstream is dead: no answer to a PING"),
    }
}
