//! The running refreshers: one for each distinct credential that expires, shared by services and kept over reloads.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::AbortHandle;

use crate::config::{Auth, Config};
use crate::credential;
use crate::credential::{Refresh, StoreHandle};
use crate::metrics::{Metrics, SharedTokenMetrics};

/// The refreshers that run, by the settings of their credential, secrets included.
#[derive(Default)]
pub(super) struct Refreshers(HashMap<Auth, Refresher>);

/// A task that keeps one value fresh.
struct Refresher {
    store: StoreHandle,
    users: SharedTokenMetrics,
    task: AbortHandle,
}

/// A store that may be used under other settings, and those that it has.
type FreeStore<'r> = (&'r Auth, &'r StoreHandle);

/// The refreshers of a new configuration, ready to start.
pub(super) struct PreparedRefreshers(Vec<PreparedRefresher>);

struct PreparedRefresher {
    auth: Auth,
    /// The services that share the value.
    names: Vec<String>,
    users: SharedTokenMetrics,
    store: StoreHandle,
    /// `None` if the refresher runs already.
    refresh: Option<Refresh>,
}

impl Refreshers {
    /// Prepares the refreshers of a configuration; services with equal settings share one. Changes nothing.
    ///
    /// `build` makes the refresher of a credential that has none running, for the services of these names; `None` if the
    /// credential does not expire.
    pub(super) fn prepare(
        &self,
        config: &Config,
        build: impl Fn(
            &Auth,
            &[&str],
            &SharedTokenMetrics,
            Option<StoreHandle>,
        ) -> anyhow::Result<Option<Refresh>>,
    ) -> anyhow::Result<PreparedRefreshers> {
        let mut needed: HashMap<&Auth, Vec<String>> = HashMap::new();
        for service in &config.services {
            for auth in service.auth.parts() {
                let names = needed.entry(auth).or_default();
                if names.last() != Some(&service.name) {
                    names.push(service.name.clone());
                }
            }
        }
        let mut prepared = Vec::new();
        let mut free = self.free_stores(&needed);
        for (&auth, names) in &needed {
            let (auth, names) = (auth.clone(), names.clone());
            if let Some(running) = self.0.get(&auth) {
                let (users, store) = (running.users.clone(), running.store.clone());
                prepared.push(PreparedRefresher { auth, names, users, store, refresh: None });
                continue;
            }
            let users = SharedTokenMetrics::default();
            let all: Vec<_> = names.iter().map(String::as_str).collect();
            let free = free.entry(auth.kind()).or_default();
            let found = free.iter().position(|(old, _)| credential::keeps_value(old, &auth));
            let reuse = found.map(|at| free[at].1.clone());
            let Some(refresh) = build(&auth, &all, &users, reuse)? else { continue };
            let store = refresh.store.clone();
            if let Some(at) = found.filter(|at| Arc::ptr_eq(free[*at].1, &store)) {
                free.swap_remove(at);
            }
            prepared.push(PreparedRefresher { auth, names, users, store, refresh: Some(refresh) });
        }
        Ok(PreparedRefreshers(prepared))
    }

    /// The stores that no service of the new configuration needs as they were, by the kind of their credential. The value of one may
    /// stay in use while the first one under new settings is requested. Found once, because almost every reload has few.
    fn free_stores(&self, needed: &HashMap<&Auth, Vec<String>>) -> HashMap<&'static str, Vec<FreeStore<'_>>> {
        let mut free = HashMap::<_, Vec<_>>::new();
        for (auth, old) in self.0.iter().filter(|(auth, _)| !needed.contains_key(auth)) {
            free.entry(auth.kind()).or_default().push((auth, &old.store));
        }
        free
    }
}

impl PreparedRefreshers {
    /// The store of each credential that expires, by its settings.
    pub(super) fn stores(&self) -> HashMap<&Auth, &StoreHandle> {
        self.0.iter().map(|prepared| (&prepared.auth, &prepared.store)).collect()
    }

    /// Starts the refreshers that are new, and ends the running ones that are not needed any more.
    pub(super) fn start(self, running: &mut Refreshers, metrics: &Metrics) -> Refreshers {
        let mut refreshers = HashMap::new();
        for prepared in self.0 {
            let PreparedRefresher { auth, names, users, store, refresh } = prepared;
            users.set(names.iter().map(|name| metrics.token(name)).collect());
            let task = match (running.0.remove(&auth), refresh) {
                (Some(old), _) => old.task,
                (None, Some(refresh)) => refresh.start(names.join(", ")),
                (None, None) => unreachable!("a credential has a running refresher or a new one"),
            };
            refreshers.insert(auth, Refresher { store, users, task });
        }
        for (_, old) in running.0.drain() {
            old.task.abort();
        }
        Refreshers(refreshers)
    }
}
