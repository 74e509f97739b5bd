//! The state of the data plane, of one listener, and of one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::RwLock;
use tokio::net::UnixStream;
use tokio::sync::Notify;

use super::connection_limit::ConnectionLimit;
use super::peer::Peer;
use crate::callers::ConnectionCaller;
use crate::config::ListenAddress;
use crate::metrics::{Metrics, OpenConnections};
use crate::net::unix_peer::UnixPeer;
use crate::runtime::snapshot::{Runtime, Snapshot, SnapshotReader};
use crate::tls::server::ListenerTls;

/// The state that all connections share.
pub struct DataPlane {
    pub(super) runtime: Arc<Runtime>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) draining: AtomicBool,
    pub(super) drain: Notify,
    pub(super) in_flight: AtomicUsize,
    /// The number of connections in HTTP/2. Each one says goodbye before it is closed (RFC 9113 §6.8).
    http2_connections: AtomicUsize,
    /// Notified when the last request in flight or the last connection in HTTP/2 ends while draining.
    pub(super) idle: Notify,
    pub(super) connection_limit: ConnectionLimit,
    /// The TCP ports on which Sidekey listens.
    own_ports: RwLock<Box<[u16]>>,
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
            http2_connections: AtomicUsize::new(0),
            idle: Notify::new(),
            connection_limit: ConnectionLimit::default(),
            own_ports: RwLock::default(),
        }
    }

    /// A data plane without a service, for tests.
    #[cfg(test)]
    pub(super) fn empty() -> Self {
        let metrics = Metrics::new(&prometheus::Registry::new()).expect("metrics with unique names");
        Self::new(Arc::new(Runtime::new(Snapshot::empty())), Arc::new(metrics))
    }

    /// Sets the TCP ports on which Sidekey listens, to which there are no tunnels.
    pub fn set_own_ports(&self, ports: impl Iterator<Item = u16>) {
        *self.own_ports.write() = ports.collect();
    }

    /// Whether Sidekey listens on a TCP port. For tunnels only: it takes a lock.
    pub(super) fn is_own_port(&self, port: u16) -> bool {
        self.own_ports.read().contains(&port)
    }

    /// The process that has connected, if callers are known by that: it is read when a connection is accepted, and a connection that was
    /// accepted before has none.
    pub fn unix_peer(&self, stream: &UnixStream) -> Option<UnixPeer> {
        let callers = self.runtime.current().callers.clone()?;
        if callers.needs_processes() { UnixPeer::of(stream, callers.needs_cgroups()) } else { None }
    }

    /// Starts to drain: every connection is closed after the requests that are in flight on it.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.drain.notify_waiters();
    }

    /// The number of requests that were read and not answered completely.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns a guard that [`in_flight`](Self::in_flight) counts until it is dropped.
    pub(super) fn track(&self) -> TrackGuard<'_> {
        self.track_in(&self.in_flight)
    }

    /// Returns a guard of a connection in HTTP/2, for which [`http2_closed`](Self::http2_closed) waits.
    pub(super) fn track_http2(&self) -> TrackGuard<'_> {
        self.track_in(&self.http2_connections)
    }

    fn track_in<'p>(&'p self, count: &'p AtomicUsize) -> TrackGuard<'p> {
        count.fetch_add(1, Ordering::Relaxed);
        TrackGuard { plane: self, count }
    }

    /// Waits until no request is in flight. Must be called after [`drain`](Self::drain).
    pub async fn idle(&self) {
        self.zero(&self.in_flight).await;
    }

    /// Waits until every connection in HTTP/2 is closed. Must be called after [`drain`](Self::drain).
    pub async fn http2_closed(&self) {
        self.zero(&self.http2_connections).await;
    }

    async fn zero(&self, count: &AtomicUsize) {
        loop {
            let idle = self.idle.notified();
            if count.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// Who can connect to a listener, or by a connection's local address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// Programs on this machine that may open the Unix socket; no web page.
    Unix,
    /// Programs on this machine, and every web page in a browser on it.
    Loopback,
    /// Other machines as well.
    Network,
}

impl Exposure {
    /// Who can connect to an address.
    pub fn of(address: &ListenAddress) -> Self {
        match address {
            ListenAddress::Unix(_) => Self::Unix,
            ListenAddress::Tcp(address) if address.ip().to_canonical().is_loopback() => Self::Loopback,
            ListenAddress::Tcp(_) => Self::Network,
        }
    }
}

/// The state that the connections of one listener share.
pub struct ListenerContext {
    /// The service that the listener is dedicated to, if it is.
    pub(super) dedicated: Option<String>,
    pub(super) exposure: Exposure,
    /// Whether a request is rejected if its caller is not known.
    pub(super) requires_caller: bool,
    pub(super) tls: Option<Arc<ListenerTls>>,
    pub(super) connections: Arc<OpenConnections>,
    pub(super) closing: AtomicBool,
    pub(super) close: Notify,
}

impl ListenerContext {
    /// The context of a listener. `dedicated` is the name of the service that the listener is dedicated to,
    /// if it is. `exposure` says who can connect to it. If there is `tls`, every connection must use it. `connections` counts the
    /// connections that the listener accepts. No caller must be known.
    pub fn new(
        dedicated: Option<String>,
        exposure: Exposure,
        tls: Option<Arc<ListenerTls>>,
        connections: Arc<OpenConnections>,
    ) -> Self {
        let (closing, close) = (AtomicBool::new(false), Notify::new());
        Self { dedicated, exposure, requires_caller: false, tls, connections, closing, close }
    }

    /// The same listener, at which a caller must be known if `is_required`.
    #[must_use]
    pub fn requiring_caller(self, is_required: bool) -> Self {
        Self { requires_caller: is_required, ..self }
    }

    /// The address.
    pub(super) fn address(&self) -> &str {
        self.connections.listener()
    }

    /// Starts to close the listener's connections: each one is closed after the requests that are in flight
    /// on it.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.close.notify_waiters();
    }
}

/// A guard that counts as one until it is dropped.
pub(super) struct TrackGuard<'p> {
    plane: &'p DataPlane,
    count: &'p AtomicUsize,
}

impl Drop for TrackGuard<'_> {
    fn drop(&mut self) {
        // Sequentially consistent with `drain` and `zero`: either this load returns that the plane drains, or
        // `zero` loads the new count.
        if self.count.fetch_sub(1, Ordering::SeqCst) == 1 && self.plane.draining.load(Ordering::SeqCst) {
            self.plane.idle.notify_waiters();
        }
    }
}

/// The state of one connection: the data plane, its listener, and the snapshot that its requests use.
#[derive(Clone)]
pub struct ConnectionContext {
    pub(super) plane: Arc<DataPlane>,
    pub(super) listener: Arc<ListenerContext>,
    pub(super) reader: SnapshotReader,
    pub(super) listener_service: ListenerService,
    /// Who can have opened this connection.
    pub(super) exposure: Exposure,
    pub(super) peer: Peer,
    /// The caller of the connection; `None` if the configuration has no callers.
    caller: Option<ConnectionCaller>,
}

/// The service that a listener is dedicated to, as an index in the snapshot.
#[derive(Clone, Copy)]
pub(super) enum ListenerService {
    /// The listener is not dedicated to a service.
    Shared,
    /// The index of the service, which may be one that does not run.
    Dedicated(usize),
    /// The service was removed by a reload.
    Removed,
}

impl ConnectionContext {
    /// The context of a new connection, with the current snapshot.
    pub fn new(plane: Arc<DataPlane>, listener: Arc<ListenerContext>) -> Self {
        let reader = plane.runtime.reader();
        let listener_service = Self::resolve_dedicated(&listener, reader.snapshot());
        let exposure = listener.exposure;
        Self { plane, listener, reader, listener_service, exposure, peer: Peer::default(), caller: None }
    }

    /// The same connection with its peer. A listener at all addresses of the machine accepts connections by loopback as well,
    /// which is found out here, once for each connection.
    pub(super) fn with_peer(self, peer: Peer) -> Self {
        let is_by_loopback = self.exposure == Exposure::Network && peer.is_by_loopback();
        let exposure = if is_by_loopback { Exposure::Loopback } else { self.exposure };
        let mut context = Self { exposure, peer, ..self };
        context.identify_peer();
        context
    }

    /// Finds the caller of the connection. Must be called when more is known of its peer, and with every other snapshot.
    pub(super) fn identify_peer(&mut self) {
        let callers = self.reader.snapshot().callers.as_ref();
        self.caller = callers.map(|policy| policy.of_connection(self.peer.facts()));
    }

    /// The caller of the connection; `None` if the configuration has no callers.
    pub(super) fn caller(&self) -> Option<&ConnectionCaller> {
        self.caller.as_ref()
    }

    /// Moves to the current snapshot. Must be called between requests.
    pub(super) fn refresh(&mut self) {
        if self.reader.refresh() {
            self.listener_service = Self::resolve_dedicated(&self.listener, self.reader.snapshot());
            self.identify_peer();
        }
    }

    /// Returns the same connection with the current snapshot, or `None` if it has that one already.
    pub(super) fn with_current_snapshot(&self) -> Option<Self> {
        let renew = || {
            let renewed = Self::new(self.plane.clone(), self.listener.clone());
            let mut renewed = Self { exposure: self.exposure, peer: self.peer.clone(), ..renewed };
            renewed.identify_peer();
            renewed
        };
        (!self.reader.is_current()).then(renew)
    }

    /// Finds the service of a dedicated listener in a snapshot.
    pub(super) fn resolve_dedicated(listener: &ListenerContext, snapshot: &Snapshot) -> ListenerService {
        let Some(name) = &listener.dedicated else { return ListenerService::Shared };
        snapshot.index_of(name).map_or(ListenerService::Removed, ListenerService::Dedicated)
    }

    /// The snapshot that requests use.
    pub(super) fn snapshot(&self) -> &Snapshot {
        self.reader.snapshot()
    }

    /// The index of the service that the listener is dedicated to, if it is.
    pub(super) fn dedicated_service(&self) -> Option<usize> {
        match self.listener_service {
            ListenerService::Dedicated(index) => Some(index),
            ListenerService::Shared | ListenerService::Removed => None,
        }
    }

    /// Whether the listener is dedicated to a service that was removed.
    pub(super) fn is_service_removed(&self) -> bool {
        matches!(self.listener_service, ListenerService::Removed)
    }

    /// Whether the connection is closed after the requests that are in flight on it.
    pub(super) fn is_draining(&self) -> bool {
        self.plane.draining.load(Ordering::Relaxed) || self.listener.closing.load(Ordering::Relaxed)
    }

    /// Waits until the process drains or the listener closes.
    pub(super) async fn draining(&self) {
        let (drain, close) = (self.plane.drain.notified(), self.listener.close.notified());
        if !self.is_draining() {
            tokio::select! { () = drain => {}, () = close => {} }
        }
    }
}
