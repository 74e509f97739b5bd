//! The liveness of an HTTP/2 connection.
//!
//! If a request on a connection gets no response, a PING is sent (RFC 9113 §6.7). Until it is acknowledged,
//! the connection gets no new request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// The liveness of one connection.
#[derive(Default)]
pub(super) struct Liveness {
    /// Whether a PING was requested and is not acknowledged yet.
    unconfirmed: AtomicBool,
    ping_requested: Notify,
}

impl Liveness {
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.unconfirmed.load(Ordering::Relaxed)
    }

    /// Waits until a PING is requested.
    pub(super) async fn ping_requested(&self) {
        self.ping_requested.notified().await;
    }

    /// Records that the PING was acknowledged.
    pub(super) fn confirm(&self) {
        self.unconfirmed.store(false, Ordering::Relaxed);
    }
}

/// A request's handle on the connection that carries it, together with other requests.
pub struct PingHandle(Arc<Liveness>);

impl PingHandle {
    pub(super) fn new(liveness: Arc<Liveness>) -> Self {
        Self(liveness)
    }

    /// Requests a PING, because a request on the connection got no response in time.
    pub fn request_ping(&self) {
        if !self.0.unconfirmed.swap(true, Ordering::Relaxed) {
            self.0.ping_requested.notify_one();
        }
    }
}
