//! The data plane: HTTP/1.1 and HTTP/2 from callers, through a service's credential, to its upstream.
//!
//! ```text
//! connection   one caller's connection: request after request
//! http2        one that speaks HTTP/2: its streams, each as a connection with one request
//! exchange     one request, from its head to the end of its answer
//! prepare      parse, route, write the upstream's head: no waiting
//! ask          send it, wait for the head of the answer
//! head         bytes -> what must be known of a head, or a refusal
//! rewrite      the head that is passed on, credential written last
//! framing      where a body ends
//! relay        bodies, both ways at once
//! patience     how long anything of this is waited for
//! failure      the one map from error to response
//! ```
//!
//! pingora accepts the connections and ends them; the path of a request between two sockets is straight-line code of
//! our own, because pingora's HTTP/1 sessions drop trailers and cost more than the job needs (docs/ARCHITECTURE.md).

mod access_log;
mod ask;
#[doc(hidden)]
pub mod bench;
mod buffer;
mod connection;
mod exchange;
mod failure;
mod framing;
mod head;
mod http2;
mod patience;
mod prepare;
mod relay;
mod rewrite;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use tokio::sync::Notify;

use crate::metrics::Metrics;
use crate::route::Routes;
use crate::service::Service;

pub use failure::{Failure, Reason};

/// Everything a request needs, shared by all connections.
pub struct Proxy {
    routes: Routes,
    services: Arc<[Service]>,
    metrics: Arc<Metrics>,
    access_log: bool,
    draining: AtomicBool,
    drain: Notify,
    in_flight: AtomicUsize,
}

impl Proxy {
    /// A proxy for these services; `routes` leads to their positions.
    pub fn new(routes: Routes, services: Arc<[Service]>, metrics: Arc<Metrics>, access_log: bool) -> Self {
        let (draining, in_flight) = (AtomicBool::new(false), AtomicUsize::new(0));
        let drain = Notify::new();
        Self { routes, services, metrics, access_log, draining, drain, in_flight }
    }

    /// From now on every connection is closed after the request it is busy with.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.drain.notify_waiters();
    }

    /// Requests read and not yet answered whole.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Waits until [`drain`](Self::drain) was called.
    async fn draining(&self) {
        let drain = self.drain.notified();
        if !self.is_draining() {
            drain.await;
        }
    }

    /// Something that [`in_flight`](Self::in_flight) counts until it is dropped.
    fn count(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(&self.in_flight)
    }
}

/// Is counted.
struct InFlight<'p>(&'p AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A listener's door to the proxy.
pub struct Entrance {
    proxy: Arc<Proxy>,
    own: Option<usize>,
}

impl Entrance {
    /// A door; `own` is the service that everything coming in by it is for, if it belongs to one.
    pub fn new(proxy: Arc<Proxy>, own: Option<usize>) -> Self {
        Self { proxy, own }
    }
}

#[async_trait]
impl ServerApp for Entrance {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, _shutdown: &ShutdownWatch) -> Option<Stream> {
        connection::serve(&self.proxy, self.own, &mut stream).await;
        None
    }
}
