//! The running refreshers: one for each distinct token configuration, shared by services and kept over reloads.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::AbortHandle;

use crate::config::{Auth, Config, OAuth2};
use crate::metrics::{Metrics, SharedTokenMetrics};
use crate::oauth2::{AccessToken, TokenStore};
use crate::refresh::{Source, refresher};

/// The refreshers that run, by the configuration of their token, secret included.
#[derive(Default)]
pub(super) struct Refreshers(HashMap<OAuth2, Refresher>);

/// A task that keeps one token fresh.
struct Refresher {
    store: Arc<TokenStore>,
    users: SharedTokenMetrics,
    task: AbortHandle,
}

/// The refreshers of a new configuration, ready to start.
pub(super) struct PreparedRefreshers(Vec<PreparedRefresher>);

struct PreparedRefresher {
    config: OAuth2,
    /// The services that share the token.
    names: Vec<String>,
    users: SharedTokenMetrics,
    store: Arc<TokenStore>,
    /// `None` if the refresher runs already.
    source: Option<Arc<dyn Source<AccessToken>>>,
}

impl Refreshers {
    /// Prepares the refreshers of a configuration; services with equal tokens share one. Changes nothing.
    ///
    /// `build` makes the source of a token that no running refresher has, for the services of these names.
    pub(super) fn prepare(
        &self,
        config: &Config,
        build: impl Fn(&OAuth2, &[&str], &SharedTokenMetrics) -> anyhow::Result<Arc<dyn Source<AccessToken>>>,
    ) -> anyhow::Result<PreparedRefreshers> {
        let mut needed: HashMap<&OAuth2, Vec<String>> = HashMap::new();
        for service in &config.services {
            if let Auth::OAuth2(oauth2) = &service.auth {
                needed.entry(oauth2).or_default().push(service.name.clone());
            }
        }
        let mut prepared = Vec::new();
        let mut reused = Vec::new();
        for (&oauth2, names) in &needed {
            let (config, names) = (oauth2.clone(), names.clone());
            if let Some(running) = self.0.get(oauth2) {
                let (users, store) = (running.users.clone(), running.store.clone());
                prepared.push(PreparedRefresher { config, names, users, store, source: None });
                continue;
            }
            let users = SharedTokenMetrics::default();
            let all: Vec<_> = names.iter().map(String::as_str).collect();
            let source = build(oauth2, &all, &users)?;
            // A token that is bound to a key cannot be used with another key.
            let store =
                if oauth2.dpop.is_none() { self.store_to_reuse(oauth2, &needed, &reused) } else { None };
            let store = store.unwrap_or_else(|| Arc::new(TokenStore::new(oauth2.min_refresh_interval)));
            reused.push(store.clone());
            prepared.push(PreparedRefresher { config, names, users, store, source: Some(source) });
        }
        Ok(PreparedRefreshers(prepared))
    }

    /// Finds a store whose token stays in use while the first one under a new secret is requested: its configuration differs
    /// in the secret only, and no service of the new configuration needs it as it was.
    fn store_to_reuse(
        &self,
        new: &OAuth2,
        needed: &HashMap<&OAuth2, Vec<String>>,
        reused: &[Arc<TokenStore>],
    ) -> Option<Arc<TokenStore>> {
        let store = |(config, old): (&OAuth2, &Refresher)| {
            let is_free =
                !needed.contains_key(config) && !reused.iter().any(|other| Arc::ptr_eq(other, &old.store));
            (is_free && config.differs_in_secret_only(new)).then(|| old.store.clone())
        };
        self.0.iter().find_map(store)
    }
}

impl PreparedRefreshers {
    /// The store of each token, by its configuration.
    pub(super) fn stores(&self) -> HashMap<&OAuth2, &Arc<TokenStore>> {
        self.0.iter().map(|prepared| (&prepared.config, &prepared.store)).collect()
    }

    /// Starts the refreshers that are new, and ends the running ones that are not needed any more.
    pub(super) fn start(self, running: &mut Refreshers, metrics: &Metrics) -> Refreshers {
        let mut refreshers = HashMap::new();
        for prepared in self.0 {
            let PreparedRefresher { config, names, users, store, source } = prepared;
            users.set(names.iter().map(|name| metrics.token(name)).collect());
            let task = match (running.0.remove(&config), source) {
                (Some(old), _) => old.task,
                (None, Some(source)) => {
                    tokio::spawn(refresher::run(names.join(", "), source, store.clone())).abort_handle()
                }
                (None, None) => unreachable!("a token has a running refresher or a source"),
            };
            refreshers.insert(config, Refresher { store, users, task });
        }
        for (_, old) in running.0.drain() {
            old.task.abort();
        }
        Refreshers(refreshers)
    }
}
