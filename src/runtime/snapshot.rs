//! The configuration as one value. A reload replaces it as a whole, so a request sees either the old or the
//! new configuration, and never a mixture.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::problem::ConfigProblem;
use super::route::Routes;
use super::service::Service;
use crate::audit::AuditLog;
use crate::callers::CallerPolicy;
use crate::config::{DownstreamTimeouts, InactiveService};
use crate::otel::Tracer;
use crate::tls::interception_ca::InterceptionCa;
use crate::upstream::PassthroughConnector;

/// Everything that a request looks up. Immutable.
pub struct Snapshot {
    /// Returns indices into `services`, followed by `inactive`.
    pub routes: Routes,
    /// Every service. A service that a reload does not change stays the same value, with its connections and
    /// its token.
    pub services: Box<[Arc<Service>]>,
    /// Every service that does not run. A request for one is rejected.
    pub inactive: Box<[InactiveService]>,
    /// The mistakes in the configuration, which it is without.
    pub problems: Box<[ConfigProblem]>,
    /// Whether each request is logged.
    pub access_log: bool,
    /// Issues the certificates with which a `CONNECT` to a service is intercepted; `None` without
    /// `intercept`.
    pub intercept: Option<Arc<InterceptionCa>>,
    /// Connects a `CONNECT` to a host without a service; `None`: such a request is rejected.
    pub passthrough: Option<Arc<PassthroughConnector>>,
    /// The origins whose web pages may send requests, as browsers write them.
    pub browser_origins: Box<[String]>,
    /// Time limits on callers' connections.
    pub downstream_timeouts: DownstreamTimeouts,
    /// Who may call, and what; `None`: everybody, everything.
    pub callers: Option<Arc<CallerPolicy>>,
    /// Where decisions about requests are recorded, if they are.
    pub audit: Option<Arc<AuditLog>>,
    /// Limit on connections of callers. Further ones are rejected with a response.
    pub max_connections: usize,
    /// Records requests; `None` without `tracing`.
    pub tracer: Option<Arc<Tracer>>,
}

/// A service, whether it runs or not.
pub enum Listed<'s> {
    /// It runs.
    Running(&'s Arc<Service>),
    /// It does not.
    Inactive(&'s InactiveService),
}

impl Snapshot {
    /// A snapshot without a service, of which tests make others.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn empty() -> Self {
        Self {
            routes: Routes::new(&[], &[]),
            services: Box::default(),
            inactive: Box::default(),
            problems: Box::default(),
            access_log: false,
            intercept: None,
            passthrough: None,
            browser_origins: Box::default(),
            downstream_timeouts: DownstreamTimeouts::default(),
            callers: None,
            audit: None,
            max_connections: 1,
            tracer: None,
        }
    }

    /// Every service in the order of the configuration.
    pub fn listed(&self) -> Vec<Listed<'_>> {
        let mut listed = Vec::with_capacity(self.services.len() + self.inactive.len());
        let mut inactive = self.inactive.iter().peekable();
        for (index, service) in self.services.iter().enumerate() {
            while let Some(before) = inactive.next_if(|inactive| inactive.position <= index) {
                listed.push(Listed::Inactive(before));
            }
            listed.push(Listed::Running(service));
        }
        listed.extend(inactive.map(Listed::Inactive));
        listed
    }

    /// The service that does not run at an index of `routes`.
    pub fn inactive_at(&self, index: usize) -> Option<&InactiveService> {
        self.inactive.get(index.checked_sub(self.services.len())?)
    }

    /// The index in `routes` of the service of that name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        let running = self.services.iter().position(|service| service.name == name);
        let inactive = || self.inactive.iter().position(|service| service.name == name);
        running.or_else(|| inactive().map(|index| self.services.len() + index))
    }

    /// The mistakes in the settings of services, by the name of the service.
    pub fn problems_by_service(&self) -> HashMap<&str, &ConfigProblem> {
        self.problems.iter().filter_map(|problem| Some((problem.service()?, problem))).collect()
    }

    /// The mistake in the settings of a service.
    pub fn problem_of(&self, service: &str) -> Option<&ConfigProblem> {
        self.problems.iter().find(|problem| problem.service() == Some(service))
    }
}

/// The current [`Snapshot`].
pub struct Runtime {
    current: ArcSwap<Snapshot>,
    /// The number of replacements. Every request reads it and only a reload writes it, so it stays in the
    /// cache of each core.
    generation: AtomicU64,
}

impl Runtime {
    /// A runtime with a first snapshot.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { current: ArcSwap::from_pointee(snapshot), generation: AtomicU64::new(0) }
    }

    /// The current snapshot, for occasional use. Frequent use needs a [`SnapshotReader`].
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Replaces the snapshot: every request that starts from now on sees the new one.
    pub fn replace(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// A reader for one connection.
    pub fn reader(self: &Arc<Self>) -> SnapshotReader {
        let generation = self.generation.load(Ordering::Acquire);
        SnapshotReader { runtime: self.clone(), generation, snapshot: self.current() }
    }
}

/// Holds a snapshot until it is refreshed, so that references into it stay valid.
#[derive(Clone)]
pub struct SnapshotReader {
    runtime: Arc<Runtime>,
    generation: u64,
    snapshot: Arc<Snapshot>,
}

impl SnapshotReader {
    /// Moves to the current snapshot; returns whether it is another one. If it is not, this costs one relaxed
    /// load.
    pub fn refresh(&mut self) -> bool {
        if self.is_current() {
            return false;
        }
        // Before the snapshot is read: a replacement in between is noticed by the next refresh.
        self.generation = self.runtime.generation.load(Ordering::Acquire);
        self.snapshot = self.runtime.current();
        true
    }

    /// Whether the snapshot was not replaced.
    pub fn is_current(&self) -> bool {
        self.runtime.generation.load(Ordering::Relaxed) == self.generation
    }

    /// The snapshot as of the last refresh.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(access_log: bool) -> Snapshot {
        Snapshot { access_log, ..Snapshot::empty() }
    }

    #[test]
    fn reader_keeps_its_snapshot_until_refresh() {
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
