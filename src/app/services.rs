//! Services at run time, from the configuration, with a refresher for each distinct token.
//!
//! Made in two steps: [`Workshop::prepare`] does all that can fail, [`Prepared::start`] what cannot. What a new
//! configuration leaves as it was is taken over: the service with its series, the upstream with its connections, the
//! store with its token.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::Context;
use tokio::task::AbortHandle;

use crate::config;
use crate::config::{Auth, Config, OAuth2};
use crate::credential;
use crate::credential::Credential;
use crate::metrics::{Metrics, SharedTokenMetrics};
use crate::net::dns::Resolver;
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::refresh_tokens::RefreshTokenRegistry;
use crate::oauth2::{TokenSource, TokenStore, grants, refresher};
use crate::otel;
use crate::reload::Report;
use crate::runtime::service::{LastFailure, Service};
use crate::tls::client::{TlsClients, server_name};
use crate::upstream::{EndpointTls, Upstream};

/// What services are made with.
pub(super) struct Workshop {
    pub(super) metrics: Arc<Metrics>,
    pub(super) tls: Arc<TlsClients>,
    pub(super) resolver: Resolver,
    pub(super) refresh_tokens: Arc<RefreshTokenRegistry>,
    pub(super) traces: Arc<otel::Current>,
}

/// The services that run.
#[derive(Default)]
pub(super) struct Services {
    entries: Vec<Entry>,
    tokens: HashMap<OAuth2, Refreshing>,
}

/// A service, and what it was made from.
#[derive(Clone)]
struct Entry {
    config: config::ServiceConfig,
    service: Arc<Service>,
}

/// A token that is kept fresh.
struct Refreshing {
    store: Arc<TokenStore>,
    users: SharedTokenMetrics,
    refresher: AbortHandle,
}

/// Services that are ready to run.
pub(super) struct Prepared {
    entries: Vec<Entry>,
    tokens: Vec<PreparedToken>,
}

struct PreparedToken {
    config: OAuth2,
    names: Vec<String>,
    users: SharedTokenMetrics,
    store: Arc<TokenStore>,
    /// `None` where the refresher that runs goes on.
    source: Option<Arc<dyn TokenSource>>,
}

impl Services {
    /// In the order of the configuration.
    pub(super) fn in_order(&self) -> Box<[Arc<Service>]> {
        self.entries.iter().map(|entry| entry.service.clone()).collect()
    }

    fn named(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.config.name == name)
    }

    /// A store whose token goes on being used while the first one under a new secret is fetched: everything but the
    /// secret is as it was, and nobody goes on with the old one.
    fn heir(
        &self,
        to: &OAuth2,
        wanted: &HashMap<&OAuth2, Vec<String>>,
        taken: &[Arc<TokenStore>],
    ) -> Option<Arc<TokenStore>> {
        let store = |(from, old): (&OAuth2, &Refreshing)| {
            let is_free =
                !wanted.contains_key(from) && !taken.iter().any(|other| Arc::ptr_eq(other, &old.store));
            (is_free && from.differs_in_secret_only(to)).then(|| old.store.clone())
        };
        self.tokens.iter().find_map(store)
    }
}

impl Workshop {
    /// Makes what a configuration wants and does not run yet. Changes nothing.
    pub(super) fn prepare(&self, running: &Services, config: &Config) -> anyhow::Result<Prepared> {
        let tokens = self.tokens(running, config)?;
        let stores: HashMap<_, _> = tokens.iter().map(|token| (&token.config, &token.store)).collect();
        let entries = config.services.iter().map(|service| self.entry(running, service, &stores));
        let entries = entries.collect::<anyhow::Result<_>>()?;
        Ok(Prepared { entries, tokens })
    }

    /// One token for each distinct credential: services with equal ones share it.
    fn tokens(&self, running: &Services, config: &Config) -> anyhow::Result<Vec<PreparedToken>> {
        let mut wanted: HashMap<&OAuth2, Vec<String>> = HashMap::new();
        for service in &config.services {
            if let Auth::OAuth2(oauth2) = &service.auth {
                wanted.entry(oauth2).or_default().push(service.name.clone());
            }
        }
        let mut tokens = Vec::new();
        let mut taken = Vec::new();
        for (&oauth2, names) in &wanted {
            let (config, names) = (oauth2.clone(), names.clone());
            if let Some(old) = running.tokens.get(oauth2) {
                let (users, store) = (old.users.clone(), old.store.clone());
                tokens.push(PreparedToken { config, names, users, store, source: None });
                continue;
            }
            let endpoint = TokenEndpoint::new(oauth2, self.tls.client(&oauth2.tls)?, self.resolver.clone())?;
            let dpop_key = endpoint.dpop_key().cloned();
            let users = SharedTokenMetrics::default();
            let all: Vec<_> = names.iter().map(String::as_str).collect();
            let source = Some(grants::source(endpoint, &all, &self.refresh_tokens, &users, &self.traces));
            // A token that is bound to a key is of no use with another.
            let heir = if dpop_key.is_none() { running.heir(oauth2, &wanted, &taken) } else { None };
            let store =
                heir.unwrap_or_else(|| Arc::new(TokenStore::with(oauth2.min_refresh_interval, dpop_key)));
            taken.push(store.clone());
            tokens.push(PreparedToken { config, names, users, store, source });
        }
        Ok(tokens)
    }

    fn entry(
        &self,
        running: &Services,
        config: &config::ServiceConfig,
        stores: &HashMap<&OAuth2, &Arc<TokenStore>>,
    ) -> anyhow::Result<Entry> {
        let old = running.named(&config.name);
        if let Some(old) = old.filter(|old| old.config == *config) {
            return Ok(old.clone());
        }
        let upstream = match old.filter(|old| old.config.has_same_upstream(config)) {
            Some(old) => old.service.upstream.clone(),
            None => Arc::new(self.upstream(config)?),
        };
        let service = Service {
            name: config.name.clone(),
            kind: config.auth.kind(),
            credential: Credential::new(&config.auth, |oauth2| stores[oauth2].clone()),
            upstream,
            token_wait: config.token_wait,
            rewrite_location: config.rewrite_location,
            replay_on_401: config.replay_on_401,
            optional: config.optional,
            metrics: self.metrics.service(&config.name),
            upstream_url: config.upstream.to_string(),
            token_endpoint: match &config.auth {
                config::Auth::OAuth2(oauth2) => Some(oauth2.token_url.redacted_url()),
                _ => None,
            },
            last_failure: LastFailure::default(),
        };
        Ok(Entry { config: config.clone(), service: Arc::new(service) })
    }

    pub(super) fn upstream(&self, config: &config::ServiceConfig) -> anyhow::Result<Upstream> {
        let tls = config.upstreams().map(|url| self.endpoint_tls(url, &config.tls));
        let tls = tls.collect::<anyhow::Result<_>>()?;
        let proxy = config.options.proxy.as_ref().and_then(credential::proxy_authorization);
        Ok(Upstream::new(config, tls, &self.resolver, proxy.as_ref()))
    }

    fn endpoint_tls(&self, url: &config::UpstreamUrl, tls: &config::Tls) -> anyhow::Result<EndpointTls> {
        if !url.tls {
            return Ok(None);
        }
        let name = server_name(&url.host, tls).context("the upstream's name cannot be verified")?;
        Ok(Some((self.tls.client(tls)?, name)))
    }
}

impl Prepared {
    /// Starts the refreshers that are new and ends those that nobody needs any more.
    pub(super) fn start(self, running: &mut Services, metrics: &Metrics) -> Services {
        let mut tokens = HashMap::new();
        for token in self.tokens {
            let PreparedToken { config, names, users, store, source } = token;
            users.set(names.iter().map(|name| metrics.token(name)).collect());
            let refresher = match (running.tokens.remove(&config), source) {
                (Some(old), _) => old.refresher,
                (None, Some(source)) => {
                    tokio::spawn(refresher::run(names.join(", "), source, store.clone())).abort_handle()
                }
                (None, None) => unreachable!("a token is taken over or has a source"),
            };
            tokens.insert(config, Refreshing { store, users, refresher });
        }
        for (_, old) in running.tokens.drain() {
            old.refresher.abort();
        }
        Services { entries: self.entries, tokens }
    }
}

/// Removes the series of services that were prepared from a rejected configuration and do not run.
pub(super) fn discard(running: &Services, config: &Config, metrics: &Metrics) {
    let new = config.services.iter().filter(|service| running.named(&service.name).is_none());
    new.for_each(|service| metrics.remove_service(&service.name));
}

/// Lets go of what no service needs any more, once no new request can find it, and says what has changed.
pub(super) fn retire(old: &Services, new: &Services, metrics: &Metrics) -> Report {
    let mut report = Report::default();
    let upstreams: HashSet<_> =
        new.entries.iter().map(|entry| Arc::as_ptr(&entry.service.upstream)).collect();
    for entry in &old.entries {
        let (name, service) = (&entry.config.name, &entry.service);
        if !upstreams.contains(&Arc::as_ptr(&service.upstream)) {
            service.upstream.retire();
        }
        match new.named(name) {
            None => {
                metrics.remove_service(name);
                report.removed.push(name.clone());
            }
            Some(now) => {
                if now.service.credential.store().is_none() {
                    metrics.remove_token(name);
                }
                if now.config != entry.config {
                    report.changed.push(name.clone());
                }
            }
        }
    }
    let added = new.entries.iter().filter(|entry| old.named(&entry.config.name).is_none());
    report.added = added.map(|entry| entry.config.name.clone()).collect();
    report
}
