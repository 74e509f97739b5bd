//! The data plane: HTTP/1.1 and HTTP/2 from callers, through a service's credential, to its upstream.
//!
//! ```text
//! tls          a caller's TLS, before anything else
//! connection_limit        how many connections there are
//! connection   one caller's connection: request after request
//! connect      what becomes of a CONNECT
//! http2        one that speaks HTTP/2: its streams, each as a connection with one request
//! exchange     one request, from its head to the end of its answer
//! refuse       one that is led nowhere
//! prepare      parse, route, write the upstream's head: no waiting
//! ask          send it, wait for the head of the answer
//! caller       who it is, as far as that is known
//! location     the upstream's URLs as the caller writes them
//! replay       after a 401, once more with another credential
//! head         bytes -> what must be known of a head, or a rejection
//! alert        what it means when an upstream ends TLS
//! several      which of several URLs
//! span         the request as a part of a trace
//! hint         what an answer says of the URL in the configuration
//! rewrite      the head that is passed on, credential written last
//! framing      where a body ends
//! relay        bodies, both ways at once
//! tunnel       bytes that nobody looks at
//! prefixed     a connection of which something was read already
//! timer     how long anything of this is waited for
//! failure      the one map from error to response
//! ```
//!
//! pingora accepts the connections (`app::accept`); the path of a request between two sockets is straight-line code of
//! our own, because pingora's HTTP/1 sessions drop trailers and cost more than the job needs (docs/ARCHITECTURE.md).

mod access_log;
mod alert;
#[doc(hidden)]
pub mod bench;
mod diagnostics;
mod downstream;
mod error;
mod peer;
mod request;
mod span;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::tls::server::ListenerTls;
use downstream::connection_limit::ConnectionLimit;

use crate::metrics::{Metrics, OpenConnections};
use crate::runtime::snapshot::{Runtime, Snapshot, SnapshotReader};

use peer::Peer;
use wire::relay::Io;

pub use error::{ErrorReason, ProxyError};
pub use peer::{PeerAddress, PeerSocket};

/// What all connections share.
pub struct DataPlane {
    runtime: Arc<Runtime>,
    metrics: Arc<Metrics>,
    draining: AtomicBool,
    drain: Notify,
    in_flight: AtomicUsize,
    /// Notified when the last request in flight ends while draining.
    idle: Notify,
    connection_limit: ConnectionLimit,
}

impl DataPlane {
    /// A data plane that serves what `runtime` has.
    pub fn new(runtime: Arc<Runtime>, metrics: Arc<Metrics>) -> Self {
        let (draining, in_flight) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self {
            runtime,
            metrics,
            draining,
            drain: Notify::new(),
            in_flight,
            idle: Notify::new(),
            connection_limit: ConnectionLimit::default(),
        }
    }

    /// From now on every connection is closed after the request it is busy with.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.drain.notify_waiters();
    }

    /// Requests read and not yet answered whole.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Something that [`in_flight`](Self::in_flight) counts until it is dropped.
    fn track(&self) -> InFlightGuard<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlightGuard(self)
    }

    /// Waits until no request is in flight. Only to be called after [`drain`](Self::drain).
    pub async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.in_flight.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// A listener's door to the data plane.
pub struct ListenerContext {
    /// The service that everything coming in by it is for, if it belongs to one.
    dedicated: Option<String>,
    tls: Option<Arc<ListenerTls>>,
    connections: Arc<OpenConnections>,
    closing: AtomicBool,
    close: Notify,
}

impl ListenerContext {
    /// A door; `dedicated` is the name of the service that everything coming in by it is for, if it belongs to one. Where there
    /// is `tls`, nothing else is spoken. `connections` counts those that it accepts.
    pub fn new(
        dedicated: Option<String>,
        tls: Option<Arc<ListenerTls>>,
        connections: Arc<OpenConnections>,
    ) -> Self {
        Self { dedicated, tls, connections, closing: AtomicBool::new(false), close: Notify::new() }
    }

    /// From now on every connection that came in by it is closed after the request it is busy with.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.close.notify_waiters();
    }
}

/// Is counted.
struct InFlightGuard<'p>(&'p DataPlane);

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        // Sequentially consistent with `drain` and `idle`: either this sees that the plane drains, or `idle` sees the count.
        if self.0.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.draining.load(Ordering::SeqCst) {
            self.0.idle.notify_waiters();
        }
    }
}

/// The proxy as one connection sees it.
pub struct ConnectionContext {
    plane: Arc<DataPlane>,
    listener: Arc<ListenerContext>,
    reader: SnapshotReader,
    own: ListenerService,
    peer: Peer,
}

/// Where the service of a listener of its own stands in the snapshot.
#[derive(Clone, Copy)]
enum ListenerService {
    /// The listener belongs to no service.
    Shared,
    Dedicated(usize),
    /// A reload removed it.
    Removed,
}

impl ConnectionContext {
    /// For one connection.
    pub fn new(plane: Arc<DataPlane>, listener: Arc<ListenerContext>) -> Self {
        let reader = plane.runtime.reader();
        let own = Self::resolve_dedicated(&listener, reader.snapshot());
        Self { plane, listener, reader, own, peer: Peer::default() }
    }

    /// Goes on to the current snapshot: between requests only.
    fn refresh(&mut self) {
        if self.reader.refresh() {
            self.own = Self::resolve_dedicated(&self.listener, self.reader.snapshot());
        }
    }

    /// The same connection with the current snapshot, where that is another one by now.
    fn with_current_snapshot(&self) -> Option<Self> {
        let renew =
            || Self { peer: self.peer.clone(), ..Self::new(self.plane.clone(), self.listener.clone()) };
        (!self.reader.is_current()).then(renew)
    }

    fn resolve_dedicated(listener: &ListenerContext, snapshot: &Snapshot) -> ListenerService {
        let Some(name) = &listener.dedicated else { return ListenerService::Shared };
        let index = snapshot.services.iter().position(|service| service.name == *name);
        index.map_or(ListenerService::Removed, ListenerService::Dedicated)
    }

    fn snapshot(&self) -> &Snapshot {
        self.reader.snapshot()
    }

    /// The service that every request of this connection is for, if it came in by a listener of its own.
    fn dedicated_service(&self) -> Option<usize> {
        match self.own {
            ListenerService::Dedicated(index) => Some(index),
            ListenerService::Shared | ListenerService::Removed => None,
        }
    }

    fn is_service_removed(&self) -> bool {
        matches!(self.own, ListenerService::Removed)
    }

    fn is_draining(&self) -> bool {
        self.plane.draining.load(Ordering::Relaxed) || self.listener.closing.load(Ordering::Relaxed)
    }

    /// Waits until this connection is to end after the requests that it is busy with.
    async fn draining(&self) {
        let (drain, close) = (self.plane.drain.notified(), self.listener.close.notified());
        if !self.is_draining() {
            tokio::select! { () = drain => {}, () = close => {} }
        }
    }
}

/// Serves one connection of a listener, to its end.
pub(crate) async fn serve<S: Io>(
    plane: &Arc<DataPlane>,
    listener: &Arc<ListenerContext>,
    mut stream: S,
    socket: Option<Arc<dyn PeerSocket>>,
) {
    let peer = Peer::new(socket);
    let context = ConnectionContext { peer, ..ConnectionContext::new(plane.clone(), listener.clone()) };
    let Some(_permit) = plane.connection_limit.try_acquire(context.snapshot().max_connections) else {
        // One that wants TLS would have to be shaken hands with first, which is more than it is worth.
        if listener.tls.is_none() {
            downstream::connection_limit::refuse(&mut stream).await;
        }
        plane.metrics.error("", ErrorReason::Overloaded.as_str());
        return;
    };
    let _open = listener.connections.track();
    match &listener.tls {
        None => downstream::http1::serve(context, &mut stream).await,
        // In a box: without TLS there should be no room for it.
        Some(tls) => Box::pin(serve_tls(context, stream, tls)).await,
    }
}

/// Shakes hands, and serves the connection if that went well.
async fn serve_tls(context: ConnectionContext, stream: impl Io, tls: &ListenerTls) {
    if let Some(mut stream) = downstream::tls::accept(tls.current(), stream).await {
        downstream::http1::serve(context, &mut stream).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::Registry;
    use tokio::time::timeout;

    use super::*;
    use crate::runtime::route::Routes;

    fn plane() -> DataPlane {
        let snapshot = Snapshot {
            routes: Routes::new(&[]),
            services: Box::new([]),
            access_log: false,
            intercept: None,
            passthrough: None,
            max_connections: 1,
            tracer: None,
        };
        let metrics = Arc::new(Metrics::new(&Registry::new()).unwrap());
        DataPlane::new(Arc::new(Runtime::new(snapshot)), metrics)
    }

    #[tokio::test(start_paused = true)]
    async fn idle_waits_for_the_last_request() {
        let plane = Arc::new(plane());
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
