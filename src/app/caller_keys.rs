//! The keys of issuers of callers' tokens: fetched for as long as a configuration uses them, and kept over reloads.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::callers::{IssuerKeys, JwksClient, KeyMetrics};
use crate::config::{Config, JwksSource, JwksUrl};
use crate::credential;

use super::services::ServiceFactory;

/// The keys that are fetched, by the URL with all that belongs to it.
pub(super) struct CallerKeys {
    metrics: KeyMetrics,
    running: Mutex<HashMap<JwksUrl, Weak<IssuerKeys>>>,
}

/// The keys that one configuration needs.
pub(super) type NeededKeys = HashMap<JwksUrl, Arc<IssuerKeys>>;

impl CallerKeys {
    pub(super) fn new(metrics: KeyMetrics) -> Self {
        Self { metrics, running: Mutex::default() }
    }

    /// The keys that a configuration needs. Begins to fetch those that are not fetched yet.
    pub(super) fn needed(&self, factory: &ServiceFactory, config: &Config) -> anyhow::Result<NeededKeys> {
        let mut running = self.running.lock();
        running.retain(|_, keys| keys.strong_count() > 0);
        let mut needed = NeededKeys::new();
        let sources = config.callers.iter().filter_map(|caller| Some(&caller.jwt.as_ref()?.keys));
        for source in sources {
            let JwksSource::Url(url) = source else { continue };
            if needed.contains_key(url) {
                continue;
            }
            let keys = if let Some(keys) = running.get(url).and_then(Weak::upgrade) {
                keys
            } else {
                let authorization = url.token.as_ref().and_then(credential::bearer_authorization);
                let tls = factory.tls.client(&url.tls)?;
                let client = JwksClient::new(url.url.clone(), authorization, tls, factory.resolver.clone())?;
                // With another token it is the same issuer: its keys stay in use until they are fetched again.
                let is_same = |other: &JwksUrl| (&other.url, &other.tls) == (&url.url, &url.tls);
                let before = running.iter().find(|(other, _)| is_same(other));
                let before = before.and_then(|(_, keys)| keys.upgrade());
                IssuerKeys::fetched(client, self.metrics.clone(), before.as_deref())
            };
            running.insert(url.clone(), Arc::downgrade(&keys));
            needed.insert(url.clone(), keys);
        }
        Ok(needed)
    }
}
