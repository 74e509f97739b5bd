//! Connections to an upstream that speaks HTTP/2: each carries many requests at a time.
//!
//! A worker has connections of its own, because a connection is driven by the event loop that opened it. A request takes
//! the first one with room; where there is none, one is opened, and whoever else needs one meanwhile waits for it.

mod stream;

use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, Reason};
use http::uri::Scheme;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use super::pool::{SHARDS, worker};
use crate::proto::http2;

pub(super) use stream::Stream;

/// A connection that is asked whether it lives answers within this time, or it is closed.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// The connections of one upstream.
pub(super) struct Connections {
    shards: [Shard; SHARDS],
    /// A connection is closed after carrying nothing for this long.
    idle_timeout: Duration,
}

#[derive(Default)]
struct Shard {
    open: Mutex<Vec<Arc<SharedConnection>>>,
    /// Held while one is being opened.
    opening: tokio::sync::Mutex<()>,
}

/// One connection.
pub(super) struct SharedConnection {
    send: SendRequest<Bytes>,
    scheme: Scheme,
    /// The other side; the proxy, where there is one.
    address: SocketAddr,
    /// Requests on it now.
    active: AtomicUsize,
    /// When the last one ended.
    idle_since: Mutex<Instant>,
    liveness: Arc<Liveness>,
}

/// A connection may be dead: it gets no new request until it has said that it lives.
#[derive(Default)]
struct Liveness {
    unconfirmed: AtomicBool,
    ping_requested: Notify,
}

impl Connections {
    pub(super) fn new(idle_timeout: Duration) -> Self {
        Self { shards: std::array::from_fn(|_| Shard::default()), idle_timeout }
    }

    /// A stream of a connection that has room for one.
    pub(super) fn stream(&self) -> Option<Stream> {
        let mut open = self.shards[worker()].open.lock();
        open.retain(|shared| shared.is_open());
        let shared = open.iter().find(|shared| shared.has_room())?;
        Some(Stream::new(shared.clone()))
    }

    /// Leave to open a connection: one at a time for each worker.
    pub(super) async fn opening(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.shards[worker()].opening.lock().await
    }

    /// A stream of a new connection over this one.
    pub(super) async fn open(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        scheme: Scheme,
        address: SocketAddr,
    ) -> io::Result<Stream> {
        let (send, mut connection) = limits().handshake::<_, Bytes>(io).await.map_err(io::Error::other)?;
        // The upstream's settings come first, and say how many requests it takes at a time.
        poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(io::Error::other(error))),
            Poll::Pending if send.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        })
        .await?;
        let shared = Arc::new(SharedConnection {
            send,
            scheme,
            address,
            active: AtomicUsize::new(0),
            idle_since: Mutex::new(Instant::now()),
            liveness: Arc::default(),
        });
        tokio::spawn(drive(connection, shared.liveness.clone()));
        self.shards[worker()].open.lock().push(shared.clone());
        Ok(Stream::new(shared))
    }

    /// The number of connections that carry no request.
    pub(super) fn idle(&self) -> usize {
        let is_idle = |shared: &&Arc<SharedConnection>| shared.active.load(Ordering::Relaxed) == 0;
        self.shards.iter().map(|shard| shard.open.lock().iter().filter(is_idle).count()).sum()
    }

    /// Closes what carried nothing for too long.
    pub(super) fn sweep(&self) {
        for shard in &self.shards {
            shard.open.lock().retain(|shared| {
                shared.is_open()
                    && (shared.active.load(Ordering::Relaxed) > 0
                        || shared.idle_since.lock().elapsed() < self.idle_timeout)
            });
        }
    }
}

impl SharedConnection {
    /// Neither broken nor told by the upstream to go away.
    fn is_open(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        !matches!(self.send.clone().poll_ready(&mut context), Poll::Ready(Err(_)))
    }

    fn has_room(&self) -> bool {
        !self.liveness.unconfirmed.load(Ordering::Relaxed)
            && self.active.load(Ordering::Relaxed) < self.send.current_max_send_streams()
    }
}

/// What a request can say of the connection that carries it, and others.
pub struct PingHandle(Arc<Liveness>);

impl PingHandle {
    /// A request on it got no answer in time: it is to say whether it lives.
    pub fn request_ping(&self) {
        if !self.0.unconfirmed.swap(true, Ordering::Relaxed) {
            self.0.ping_requested.notify_one();
        }
    }
}

fn limits() -> Builder {
    let mut limits = Builder::new();
    limits
        .enable_push(false)
        .initial_max_send_streams(0)
        .initial_window_size(http2::STREAM_WINDOW)
        .initial_connection_window_size(http2::CONNECTION_WINDOW)
        .max_frame_size(http2::FRAME)
        .max_header_list_size(http2::HEAD)
        .header_table_size(http2::HEADER_TABLE)
        .max_send_buffer_size(http2::SEND_BUFFER)
        .max_pending_accept_reset_streams(http2::PENDING_RESETS)
        .max_local_error_reset_streams(Some(http2::RESETS))
        .max_concurrent_reset_streams(http2::REMEMBERED_RESETS)
        .reset_stream_duration(http2::REMEMBERED_FOR);
    limits
}

/// Reads and writes until the connection ends: by the upstream's doing, or because nobody holds it any more.
///
/// It is asked whether it lives only after a request on it got no answer: upstreams take pings without need for an attack.
async fn drive<I: AsyncRead + AsyncWrite + Unpin>(
    mut connection: Connection<I, Bytes>,
    liveness: Arc<Liveness>,
) {
    let Some(mut pings) = connection.ping_pong() else { return };
    let watching = async {
        loop {
            liveness.ping_requested.notified().await;
            let alive = tokio::time::timeout(PING_TIMEOUT, pings.ping(Ping::opaque())).await;
            if !matches!(alive, Ok(Ok(_))) {
                return;
            }
            liveness.unconfirmed.store(false, Ordering::Relaxed);
        }
    };
    tokio::select! {
        ended = &mut connection => if let Err(error) = ended {
            tracing::debug!("an upstream's HTTP/2 connection broke: {error}");
        },
        () = watching => tracing::debug!("an upstream's HTTP/2 connection is dead: it answers no ping"),
    }
}

/// Whether the upstream is known not to have acted on a request that ended with this error, so that it may be sent again
/// whatever it is (RFC 9113 §8.7).
pub fn is_unprocessed(error: &io::Error) -> bool {
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<h2::Error>()) else {
        return false;
    };
    let reason = error.reason();
    (error.is_reset() && error.is_remote() && reason == Some(Reason::REFUSED_STREAM))
        || (error.is_go_away() && error.is_remote() && reason == Some(Reason::NO_ERROR))
}
