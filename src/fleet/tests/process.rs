//! One process of a simulated fleet: it keeps one value fresh, as a refresher does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::memory_store::{MemoryStore, World};
use super::provider::{Client, Provider};
use crate::fleet::health::Health;
use crate::fleet::keys::FleetKeys;
use crate::fleet::news::NewsRoom;
use crate::fleet::{Rules, Shared};
use crate::metrics::{FleetMetrics, SharedTokenMetrics};
use crate::refresh::schedule::{Failure, refresh_in, retry_in};
use crate::refresh::{Cause, Expiry, Obtainer};
use crate::secret::Secret;

/// A process.
pub(super) struct Process {
    pub(super) shared: Arc<Shared>,
    store: Arc<MemoryStore>,
    pub(super) client: Arc<Client>,
    task: Option<JoinHandle<()>>,
    pub(super) seen: Arc<Seen>,
}

/// What a process has seen.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) expiry: Mutex<Option<Expiry>>,
    pub(super) by: Mutex<Vec<Obtainer>>,
    /// For how long there was no value after the first one.
    pub(super) without: Mutex<Duration>,
}

/// What differs between fleets.
#[derive(Clone)]
pub(super) struct Kind {
    pub(super) rotates: bool,
    pub(super) spends_alone: bool,
    pub(super) keys: Vec<&'static str>,
}

pub(super) const ROTATING: fn() -> Kind = || Kind { rotates: true, spends_alone: false, keys: vec!["one"] };
pub(super) const PLAIN: fn() -> Kind = || Kind { rotates: false, ..ROTATING() };

impl Process {
    /// A process that does nothing by itself.
    pub(super) fn idle(world: &Arc<World>, provider: &Arc<Provider>, kind: &Kind) -> Self {
        let secrets: Vec<_> =
            kind.keys.iter().map(|key| Secret::new((*key).to_owned()).expect("a secret")).collect();
        let keys = Arc::new(FleetKeys::derive(&secrets));
        Self::with_keys(world, provider, kind, &keys)
    }

    pub(super) fn with_keys(
        world: &Arc<World>,
        provider: &Arc<Provider>,
        kind: &Kind,
        keys: &Arc<FleetKeys>,
    ) -> Self {
        let room = Arc::new(NewsRoom::default());
        let store = world.store(&room);
        let names = keys.names("test", &"settings");
        let rules = Rules { rotates: kind.rotates, min_interval: Duration::from_secs(5) };
        let shared = Arc::new(Shared {
            news: room.subscribe(&names),
            names,
            rules,
            keys: keys.clone(),
            store: store.clone(),
            process: format!("process-{}", fastrand::u32(..)).into(),
            spends_alone: kind.spends_alone,
            local: tokio::sync::Mutex::default(),
            sharing: Arc::default(),
            health: Arc::new(Health::new(FleetMetrics::new(&prometheus::Registry::new()).expect("metrics"))),
            risk: Arc::default(),
            seen: 0.into(),
            is_shut_down: AtomicBool::new(false),
            copy: std::sync::OnceLock::new(),
        });
        let client = Arc::new(Client { provider: provider.clone(), is_dead: AtomicBool::new(false) });
        Self { shared, store, client, task: None, seen: Arc::default() }
    }

    /// A process that keeps its value fresh.
    pub(super) fn start(world: &Arc<World>, provider: &Arc<Provider>, kind: &Kind) -> Self {
        Self::idle(world, provider, kind).running()
    }

    pub(super) fn running(mut self) -> Self {
        let (shared, client, seen) = (self.shared.clone(), self.client.clone(), self.seen.clone());
        self.task = Some(tokio::spawn(run(shared, client, seen)));
        self
    }

    /// One attempt.
    pub(super) async fn obtain(&self, cause: Cause) -> Result<(String, Obtainer), String> {
        let taken = self.shared.obtain(cause, &*self.client, &SharedTokenMetrics::default()).await;
        let taken = taken.map_err(|error| error.message)?;
        *self.seen.expiry.lock() = Some(taken.expiry);
        Ok((String::from_utf8(taken.content.to_vec()).expect("text"), taken.by))
    }

    /// Ends at once, as by `kill -9`.
    pub(super) fn kill(self) {
        self.store.die();
        self.client.is_dead.store(true, Ordering::Relaxed);
        if let Some(task) = &self.task {
            task.abort();
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        self.seen.expiry.lock().is_some_and(|expiry| !expiry.is_past())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn run(shared: Arc<Shared>, client: Arc<Client>, seen: Arc<Seen>) {
    let metrics = SharedTokenMetrics::default();
    let (mut cause, mut count) = (Cause::Due, 0);
    let mut ended: Option<Instant> = None;
    loop {
        let outcome = shared.obtain(cause, &*client, &metrics).await;
        let expiry = *seen.expiry.lock();
        let remaining = expiry.map(|expiry| expiry.remaining()).filter(|left| !left.is_zero());
        let wait = match outcome {
            Ok(taken) => {
                count = 0;
                if expiry.is_some_and(|expiry| expiry.is_past()) {
                    *seen.without.lock() += ended.map_or(Duration::ZERO, |ended| ended.elapsed());
                }
                ended = Some(Instant::now() + taken.expiry.remaining());
                *seen.expiry.lock() = Some(taken.expiry);
                seen.by.lock().push(taken.by);
                refresh_in(taken.expiry.remaining(), fastrand::f64())
            }
            Err(error) => {
                count += 1;
                let failure = Failure {
                    count,
                    refused: error.kind.needs_intervention(),
                    retry_after: error.retry_after,
                    lifetime: expiry.map(|expiry| expiry.lifetime()),
                    remaining,
                };
                retry_in(failure, fastrand::f64())
            }
        };
        cause = tokio::select! {
            () = tokio::time::sleep(wait) => Cause::Due,
            () = shared.changed() => Cause::Changed,
        };
    }
}
