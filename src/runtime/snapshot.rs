//! What the configuration determines, as one value: a reload replaces it as a whole, and a request sees one or the other,
//! never a mixture.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::route::Routes;
use super::service::Service;
use crate::otel::Tracer;
use crate::tls::interception_ca::InterceptionCa;
use crate::upstream::PassthroughConnector;

/// Everything that a request looks up; never changed once it is made.
pub struct Snapshot {
    /// Leads to positions in `services`.
    pub routes: Routes,
    /// Every service. One that a reload leaves as it is stays the same value, with its connections and its token.
    pub services: Box<[Arc<Service>]>,
    /// Whether each request has its line in the log.
    pub access_log: bool,
    /// Answers a `CONNECT` in a service's place.
    pub intercept: Option<Arc<InterceptionCa>>,
    /// Where a `CONNECT` to a host of no service leads; refused where there is none.
    pub passthrough: Option<Arc<PassthroughConnector>>,
    /// Connections of callers at a time; those beyond it are told so and closed.
    pub max_connections: usize,
    /// What records requests, where traces are on.
    pub tracer: Option<Arc<Tracer>>,
}

/// The current [`Snapshot`].
pub struct Runtime {
    current: ArcSwap<Snapshot>,
    /// Counts the snapshots. Read by every request, written by reloads alone, so that each core keeps a copy of its own.
    generation: AtomicU64,
}

impl Runtime {
    /// Begins with a snapshot.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { current: ArcSwap::from_pointee(snapshot), generation: AtomicU64::new(0) }
    }

    /// The current snapshot, for whoever looks now and then. What looks often has a [`SnapshotReader`].
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Takes a new snapshot: every request that begins from now on sees it.
    pub fn replace(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// A reader of its own for one connection.
    pub fn reader(self: &Arc<Self>) -> SnapshotReader {
        let generation = self.generation.load(Ordering::Acquire);
        SnapshotReader { runtime: self.clone(), generation, snapshot: self.current() }
    }
}

/// Holds on to a snapshot until it is told to look: what was read from it before stays valid.
pub struct SnapshotReader {
    runtime: Arc<Runtime>,
    generation: u64,
    snapshot: Arc<Snapshot>,
}

impl SnapshotReader {
    /// Goes on to the current snapshot; returns whether that is another one. Costs one relaxed load where it is not.
    pub fn refresh(&mut self) -> bool {
        if self.is_current() {
            return false;
        }
        // Before the snapshot: one that is replaced in between is found at the next look.
        self.generation = self.runtime.generation.load(Ordering::Acquire);
        self.snapshot = self.runtime.current();
        true
    }

    /// Whether there is no other snapshot by now.
    pub fn is_current(&self) -> bool {
        self.runtime.generation.load(Ordering::Relaxed) == self.generation
    }

    /// The snapshot as of the last look.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(access_log: bool) -> Snapshot {
        Snapshot {
            routes: Routes::new(&[]),
            services: Box::new([]),
            access_log,
            intercept: None,
            passthrough: None,
            max_connections: 1,
            tracer: None,
        }
    }

    #[test]
    fn a_reader_keeps_what_it_has_until_it_looks() {
        let runtime = Arc::new(Runtime::new(snapshot(false)));
        let mut reader = runtime.reader();
        assert!(!reader.refresh());
        runtime.replace(snapshot(true));
        assert!(!reader.snapshot().access_log);
        assert!(reader.refresh() && reader.snapshot().access_log);
        assert!(!reader.refresh());
        assert!(!runtime.reader().refresh());
    }
}
