//! One HTTP/2 connection to an upstream.

use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use crate::net::http2::{End, FramesIo, Responses, StreamHandle, Streams};
use crate::proto::http2::Reason;
use crate::proto::http2::upstream_request::RequestContext;

/// Time within which a connection acknowledges a PING; otherwise it is closed.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for the last frames of a connection to be written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

type Frames<I> = FramesIo<I, Responses>;

/// A connection that requests share.
pub(super) struct SharedConnection {
    streams: Arc<Mutex<Streams>>,
    pub(super) context: RequestContext,
    /// The peer; the forward proxy, if there is one.
    pub(super) address: SocketAddr,
    /// Number of requests in flight.
    active: AtomicUsize,
    /// When the last request ended.
    idle_since: Mutex<Instant>,
}

impl SharedConnection {
    /// Sends the preface over `io`, waits for the upstream's, and starts the task that drives the connection.
    pub(super) async fn open(
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        context: RequestContext,
        address: SocketAddr,
        max_head: u32,
    ) -> io::Result<Arc<Self>> {
        let mut frames = FramesIo::client(io, max_head);
        // The upstream's settings come first. They say how many streams it accepts at a time.
        poll_fn(|cx| poll_settings(&mut frames, cx)).await?;
        let connection = Arc::new(Self {
            streams: frames.streams().clone(),
            context,
            address,
            active: AtomicUsize::new(0),
            idle_since: Mutex::new(Instant::now()),
        });
        tokio::spawn(drive(frames));
        Ok(connection)
    }

    /// Whether the connection neither failed nor received a GOAWAY.
    pub(super) fn is_open(&self) -> bool {
        self.streams.lock().is_open()
    }

    /// Whether the connection may carry another request.
    pub(super) fn has_capacity(&self) -> bool {
        self.streams.lock().has_capacity(self.active.load(Ordering::Relaxed))
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

    /// Reserves a stream; `None` if there can be no more.
    pub(super) fn reserve_stream(&self) -> Option<StreamHandle> {
        StreamHandle::reserve(&self.streams)
    }

    /// A handle to check the connection with a PING.
    pub(super) fn ping_handle(&self) -> PingHandle {
        PingHandle(self.streams.clone())
    }
}

impl Drop for SharedConnection {
    fn drop(&mut self) {
        self.streams.lock().abandon();
    }
}

/// A request's handle on the connection that carries it, together with other requests.
pub struct PingHandle(Arc<Mutex<Streams>>);

impl PingHandle {
    /// Requests a PING, because a request on the connection got no response in time. Until it is acknowledged, the connection gets
    /// no new request.
    pub fn request_ping(&self) {
        self.0.lock().request_ping();
    }
}

/// Waits for the upstream's settings, and until it accepts a stream.
fn poll_settings<I: AsyncRead + AsyncWrite + Unpin>(
    frames: &mut Frames<I>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    frames.begin_poll();
    loop {
        let written = frames.poll_write_out(cx)?;
        if frames.streams().lock().has_capacity(0) && written.is_ready() {
            return Poll::Ready(Ok(()));
        }
        if !frames.streams().lock().is_open() {
            return Poll::Ready(Err(io::Error::other("it ends the connection at once")));
        }
        match frames.poll_receive(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(end)) => return Poll::Ready(Err(end.into())),
            Poll::Pending if frames.can_receive_again() => {}
            Poll::Pending => return Poll::Pending,
        }
    }
}

/// Drives the connection until it ends: the upstream closes it, no request and no pool refers to it, or a
/// PING is not acknowledged.
///
/// A PING is sent only after a request on the connection got no response: some upstreams treat frequent pings
/// as an attack.
async fn drive<I: AsyncRead + AsyncWrite + Unpin>(mut frames: Frames<I>) {
    let mut deadline = None;
    let end = poll_fn(|cx| poll_frames(&mut frames, &mut deadline, cx)).await;
    if let Err(end) = &end {
        tracing::debug!("an HTTP/2 connection to an upstream ends: {end}");
        frames.fail_all(end);
    }
    frames.go_away(if let Err(End::Error(reason)) = end { reason } else { Reason::NO_ERROR });
    // The connection is closed whether they could be written or not.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, poll_fn(|cx| frames.poll_close(cx))).await;
}

/// Takes and writes what there is. Ready when the connection ends.
fn poll_frames<I: AsyncRead + AsyncWrite + Unpin>(
    frames: &mut Frames<I>,
    deadline: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), End>> {
    // First, so that nothing is missed of what other threads do meanwhile.
    frames.wait_for_work(cx);
    frames.begin_poll();
    loop {
        frames.begin_turn();
        let received = match frames.poll_receive(cx) {
            Poll::Ready(Err(end)) => return Poll::Ready(Err(end)),
            Poll::Ready(Ok(())) => true,
            Poll::Pending => false,
        };
        if !frames.probe() {
            *deadline = None;
        } else if deadline.is_none() {
            *deadline = Some(Box::pin(tokio::time::sleep(PING_TIMEOUT)));
        }
        let written = frames.poll_write_out(cx)?;
        if received || frames.is_turn_due() || frames.can_receive_again() {
            continue;
        }
        if frames.is_over() && written.is_ready() {
            return Poll::Ready(Ok(()));
        }
        if deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Err(End::Failed(io::ErrorKind::TimedOut.into())));
        }
        return Poll::Pending;
    }
}
