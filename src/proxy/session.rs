//! The state of the data plane, of one listener, and of one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::connection_limit::ConnectionLimit;
use super::peer::Peer;
use crate::metrics::{Metrics, OpenConnections};
use crate::runtime::snapshot::{Runtime, Snapshot, SnapshotReader};
use crate::tls::server::ListenerTls;

/// What all connections share.
pub struct DataPlane {
    pub(super) runtime: Arc<Runtime>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) draining: AtomicBool,
    pub(super) drain: Notify,
    pub(super) in_flight: AtomicUsize,
    /// Notified when the last request in flight ends while draining.
    pub(super) idle: Notify,
    pub(super) connection_limit: ConnectionLimit,
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
    pub(super) fn track(&self) -> InFlightGuard<'_> {
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
    pub(super) dedicated: Option<String>,
    pub(super) tls: Option<Arc<ListenerTls>>,
    pub(super) connections: Arc<OpenConnections>,
    pub(super) closing: AtomicBool,
    pub(super) close: Notify,
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
pub(super) struct InFlightGuard<'p>(&'p DataPlane);

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
    pub(super) plane: Arc<DataPlane>,
    pub(super) listener: Arc<ListenerContext>,
    pub(super) reader: SnapshotReader,
    pub(super) own: ListenerService,
    pub(super) peer: Peer,
}

/// Where the service of a listener of its own stands in the snapshot.
#[derive(Clone, Copy)]
pub(super) enum ListenerService {
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
    pub(super) fn refresh(&mut self) {
        if self.reader.refresh() {
            self.own = Self::resolve_dedicated(&self.listener, self.reader.snapshot());
        }
    }

    /// The same connection with the current snapshot, where that is another one by now.
    pub(super) fn with_current_snapshot(&self) -> Option<Self> {
        let renew =
            || Self { peer: self.peer.clone(), ..Self::new(self.plane.clone(), self.listener.clone()) };
        (!self.reader.is_current()).then(renew)
    }

    pub(super) fn resolve_dedicated(listener: &ListenerContext, snapshot: &Snapshot) -> ListenerService {
        let Some(name) = &listener.dedicated else { return ListenerService::Shared };
        let index = snapshot.services.iter().position(|service| service.name == *name);
        index.map_or(ListenerService::Removed, ListenerService::Dedicated)
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        self.reader.snapshot()
    }

    /// The service that every request of this connection is for, if it came in by a listener of its own.
    pub(super) fn dedicated_service(&self) -> Option<usize> {
        match self.own {
            ListenerService::Dedicated(index) => Some(index),
            ListenerService::Shared | ListenerService::Removed => None,
        }
    }

    pub(super) fn is_service_removed(&self) -> bool {
        matches!(self.own, ListenerService::Removed)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.plane.draining.load(Ordering::Relaxed) || self.listener.closing.load(Ordering::Relaxed)
    }

    /// Waits until this connection is to end after the requests that it is busy with.
    pub(super) async fn draining(&self) {
        let (drain, close) = (self.plane.drain.notified(), self.listener.close.notified());
        if !self.is_draining() {
            tokio::select! { () = drain => {}, () = close => {} }
        }
    }
}
