//! The fleet that a configuration describes: its store, its keys, and the values that are shared.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::health::Health;
use super::keys::FleetKeys;
use super::known::Rules;
use super::names::Names;
use super::news::NewsRoom;
use super::redis::commands::RedisStore;
use super::redis::connection::Connection;
use super::redis::dialer::Dialer;
use super::redis::subscriber::Subscriber;
use super::shared::{Shared, random_name};
use super::store::{BuildError, SharedStore, StoreError};
use crate::config;
use crate::metrics::FleetMetrics;
use crate::net::dns::Resolver;
use crate::tls::client::TlsClients;

/// A fleet, as one process sees it.
pub struct Fleet {
    keys: Arc<FleetKeys>,
    store: Arc<RedisStore>,
    news: Arc<NewsRoom>,
    health: Arc<Health>,
    /// The name of this process, for the others.
    process: Arc<str>,
    spends_alone: bool,
    values: Mutex<HashMap<Names, Arc<Shared>>>,
    subscriber: Mutex<Option<Subscriber>>,
    running: OnceLock<AbortHandle>,
}

impl Fleet {
    /// Prepares everything. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or the name of the store cannot be verified.
    pub fn new(
        config: &config::SharedStore,
        tls: &TlsClients,
        resolver: &Resolver,
        metrics: FleetMetrics,
    ) -> Result<Self, BuildError> {
        let dialer = Arc::new(Dialer::new(config, tls, resolver)?);
        let connection = Connection::new(dialer.clone(), metrics.clone());
        let store = Arc::new(RedisStore::new(connection, &config.prefix));
        let (news, health) = (Arc::default(), Arc::new(Health::new(metrics)));
        let subscriber = Subscriber {
            dialer,
            store: store.clone(),
            prefix: config.prefix.clone(),
            news: Arc::clone(&news),
            health: health.clone(),
        };
        Ok(Self {
            keys: Arc::new(FleetKeys::derive(&config.keys)),
            store,
            news,
            health,
            process: process_name().into(),
            spends_alone: config.when_unavailable == config::WhenUnavailable::Alone,
            values: Mutex::default(),
            subscriber: Mutex::new(Some(subscriber)),
            running: OnceLock::new(),
        })
    }

    /// Connects, and passes news of the other processes on from now on. Needs a tokio runtime.
    pub fn start(&self) {
        if let Some(subscriber) = self.subscriber.lock().take() {
            let _ = self.running.set(tokio::spawn(subscriber.run()).abort_handle());
        }
    }

    /// Whether the store can be used as a fleet needs it. Returns what should be changed there all the same.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub async fn check(&self) -> Result<Option<String>, StoreError> {
        let value = self.value("check", &(), Rules { rotates: false, min_interval: Duration::ZERO });
        value.probe().await?;
        let subscriber = self.subscriber.lock().take();
        let policy = match &subscriber {
            Some(subscriber) => subscriber.try_once().await?,
            None => None,
        };
        Ok(policy.filter(|policy| policy != "noeviction").map(|policy| {
            format!("its `maxmemory-policy` is {policy}, so that it may remove refresh tokens: set it to noeviction")
        }))
    }

    /// The value that `what` shapes, always the same one. `kind` keeps apart what might have equal settings.
    pub fn value(&self, kind: &str, what: &impl Hash, rules: Rules) -> Arc<Shared> {
        let names = self.keys.names(kind, what);
        let mut values = self.values.lock();
        // A refresh token at hand may be the only one. What nobody uses any more and can be requested again is dropped.
        values.retain(|_, value| value.rules.rotates || Arc::strong_count(value) > 1);
        let value = values.entry(names.clone()).or_insert_with(|| {
            let sharing = self.health.shown(names.shown());
            Arc::new(Shared {
                news: self.news.subscribe(&names),
                names,
                rules,
                keys: self.keys.clone(),
                store: self.store.clone() as Arc<dyn SharedStore>,
                process: self.process.clone(),
                spends_alone: self.spends_alone,
                local: tokio::sync::Mutex::default(),
                sharing,
                health: self.health.clone(),
                risk: Arc::default(),
                seen: 0.into(),
                is_shut_down: AtomicBool::new(false),
                copy: OnceLock::new(),
            })
        });
        value.clone()
    }

    /// Prepares for the end of the process: no request starts any more, one in progress is waited for until its response is
    /// written, and what could not be written is tried again.
    pub async fn shut_down(&self) {
        let values: Vec<_> = self.values.lock().values().cloned().collect();
        for value in &values {
            value.close();
        }
        for value in values {
            value.shut_down().await;
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some(running) = self.running.get() {
            running.abort();
        }
    }
}

/// The name of this process for the others: that of the machine, which is the name of the pod in Kubernetes, and a random part.
fn process_name() -> String {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let machine: String =
        machine.chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).take(64).collect();
    format!("{machine}/{}", random_name().get(..6).unwrap_or_default())
}
