//! Services at run time, from the configuration.
//!
//! Made in two steps: [`ServiceFactory::prepare`] does all that can fail, [`PreparedServices::start`] what cannot. What a new
//! configuration leaves as it was is kept: the service with its series, the upstream with its connections, the store with
//! its token.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::Context;
use http::HeaderName;
use prometheus::Registry;

use crate::config;
use crate::config::{Auth, Config};
use crate::credential;
use crate::credential::{Refresh, SourceContext, StoreHandle};
use crate::fleet::Fleet;
use crate::metrics::{FleetMetrics, Metrics, SharedTokenMetrics};
use crate::net::dns::Resolver;
use crate::oauth2::TokenRequestTurns;
use crate::oauth2::refresh_tokens::RefreshTokenRegistry;
use crate::oauth2::refresh_tokens::StateDir;
use crate::otel;
use crate::reload::ReloadReport;
use crate::runtime::service::Service;
use crate::tls::client::{TlsClients, server_name};
use crate::upstream::{EndpointTls, Upstream, UpstreamTls};

use super::refreshers::{PreparedRefreshers, Refreshers};

/// Builds services out of what all of them share.
pub(super) struct ServiceFactory {
    pub(super) metrics: Arc<Metrics>,
    pub(super) tls: Arc<TlsClients>,
    pub(super) resolver: Resolver,
    pub(super) turns: TokenRequestTurns,
    pub(super) refresh_tokens: Arc<RefreshTokenRegistry>,
    pub(super) traces: Arc<otel::CurrentTracer>,
    /// The fleet that this process belongs to, if the configuration has `shared`.
    pub(super) fleet: Option<Arc<Fleet>>,
    pub(super) logouts: Arc<credential::Logouts>,
}

/// The services that run.
#[derive(Default)]
pub(super) struct Services {
    entries: Vec<Entry>,
    refreshers: Refreshers,
}

/// A service, and the configuration it was built from.
#[derive(Clone)]
struct Entry {
    config: config::ServiceConfig,
    service: Arc<Service>,
}

/// The services of a new configuration, ready to run.
pub(super) struct PreparedServices {
    entries: Vec<Entry>,
    refreshers: PreparedRefreshers,
}

impl Services {
    /// The services in the order of the configuration.
    pub(super) fn in_order(&self) -> Box<[Arc<Service>]> {
        self.entries.iter().map(|entry| entry.service.clone()).collect()
    }

    fn by_name(&self) -> HashMap<&str, &Entry> {
        self.entries.iter().map(|entry| (entry.config.name.as_str(), entry)).collect()
    }
}

impl ServiceFactory {
    /// A factory for the running program. `config` says where refresh tokens are kept, and with whom tokens are shared.
    pub(super) fn new(metrics: Arc<Metrics>, registry: &Registry, config: &Config) -> anyhow::Result<Self> {
        let factory = Self::without_stores(metrics)?;
        let state = config.state.as_ref().map(StateDir::open).transpose()?;
        let fleet = match &config.shared {
            None => None,
            Some(shared) => {
                let fleet = Fleet::new(shared, &factory.tls, &factory.resolver, FleetMetrics::new(registry)?);
                Some(Arc::new(fleet.map_err(|error| anyhow::anyhow!("`shared`: {error}"))?))
            }
        };
        Ok(Self { refresh_tokens: Arc::new(RefreshTokenRegistry::new(state)), fleet, ..factory })
    }

    fn without_stores(metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let resolver =
            Resolver::from_system().context("cannot read this machine's resolver configuration")?;
        Ok(Self {
            metrics,
            tls: Arc::new(TlsClients::new()),
            resolver,
            turns: TokenRequestTurns::default(),
            refresh_tokens: Arc::default(),
            traces: Arc::default(),
            fleet: None,
            logouts: Arc::default(),
        })
    }

    /// A factory for a command that serves nothing: its metrics are not exposed.
    pub(super) fn detached(config: &Config) -> anyhow::Result<Self> {
        let registry = Registry::new();
        Self::new(Arc::new(Metrics::new(&registry)?), &registry, config)
    }

    /// A factory for a command that requests no token.
    pub(super) fn without_tokens() -> anyhow::Result<Self> {
        Self::without_stores(Arc::new(Metrics::new(&Registry::new())?))
    }

    /// Builds what a configuration needs and what does not run yet. Changes nothing.
    pub(super) fn prepare(&self, running: &Services, config: &Config) -> anyhow::Result<PreparedServices> {
        let build =
            |auth: &Auth, services: &[&str], users: &SharedTokenMetrics, reuse: Option<StoreHandle>| {
                self.refresh(auth, services, users, reuse)
            };
        let refreshers = running.refreshers.prepare(config, build)?;
        let stores = refreshers.stores();
        let running = running.by_name();
        let entries = config
            .services
            .iter()
            .map(|service| self.entry(running.get(service.name.as_str()).copied(), service, &stores));
        let entries = entries.collect::<anyhow::Result<_>>()?;
        Ok(PreparedServices { entries, refreshers })
    }

    fn refresh(
        &self,
        auth: &Auth,
        services: &[&str],
        users: &SharedTokenMetrics,
        reuse: Option<StoreHandle>,
    ) -> anyhow::Result<Option<Refresh>> {
        let context = SourceContext {
            services,
            tls: &self.tls,
            resolver: &self.resolver,
            turns: &self.turns,
            refresh_tokens: &self.refresh_tokens,
            users,
            traces: &self.traces,
            fleet: self.fleet.as_deref().filter(|_| auth.is_shared()),
            logouts: &self.logouts,
        };
        credential::refresh(auth, &context, reuse).map_err(|error| anyhow::anyhow!(error))
    }

    fn entry(
        &self,
        old: Option<&Entry>,
        config: &config::ServiceConfig,
        stores: &HashMap<&Auth, &StoreHandle>,
    ) -> anyhow::Result<Entry> {
        if let Some(old) = old.filter(|old| old.config == *config) {
            return Ok(old.clone());
        }
        let credential = credential::build(&config.auth, &config.name, |auth| stores.get(auth).copied());
        let sensitive_headers = credential.signer().owned().headers().to_vec();
        // Open connections keep the names of the fields that are sensitive: with others there must be other connections.
        let reusable = old.filter(|old| {
            old.config.has_same_upstream(config)
                && old.service.upstream.sensitive_headers() == sensitive_headers
        });
        let upstream = match reusable {
            Some(old) => old.service.upstream.clone(),
            None => Arc::new(self.upstream(config, sensitive_headers)?),
        };
        let metrics = self.metrics.service(&config.name);
        let service = Service::new(config, credential, upstream, metrics);
        Ok(Entry { config: config.clone(), service: Arc::new(service) })
    }

    pub(super) fn upstream(
        &self,
        config: &config::ServiceConfig,
        sensitive_headers: Vec<HeaderName>,
    ) -> anyhow::Result<Upstream> {
        let tls = match config.upstream.pattern() {
            Some(pattern) if config.upstream.tls => {
                UpstreamTls::Wildcard(Some(self.tls.client_for(&config.tls, pattern)?))
            }
            Some(_) => UpstreamTls::Wildcard(None),
            None => {
                let tls = config.upstreams().map(|url| self.endpoint_tls(url, &config.tls));
                UpstreamTls::Each(tls.collect::<anyhow::Result<_>>()?)
            }
        };
        let proxy = config.options.proxy.as_ref().and_then(credential::proxy_authorization);
        Ok(Upstream::new(config, tls, &self.resolver, proxy.as_ref(), sensitive_headers))
    }

    fn endpoint_tls(&self, url: &config::UpstreamUrl, tls: &config::Tls) -> anyhow::Result<EndpointTls> {
        if !url.tls {
            return Ok(None);
        }
        let name = server_name(&url.host, tls).context("the upstream's name cannot be verified")?;
        Ok(Some((self.tls.client(tls)?, name)))
    }
}

impl PreparedServices {
    /// Starts the refreshers that are new, and ends the running ones that are not needed any more.
    pub(super) fn start(self, running: &mut Services, metrics: &Metrics) -> Services {
        let refreshers = self.refreshers.start(&mut running.refreshers, metrics);
        Services { entries: self.entries, refreshers }
    }
}

/// Removes the series of services that were prepared from a rejected configuration and do not run.
pub(super) fn discard(running: &Services, config: &Config, metrics: &Metrics) {
    let running = running.by_name();
    let new = config.services.iter().filter(|service| !running.contains_key(service.name.as_str()));
    new.for_each(|service| metrics.remove_service(&service.name));
}

/// Has requests for services that do not run counted.
pub(super) fn count_inactive(config: &Config, metrics: &Metrics) {
    config.inactive.iter().for_each(|service| metrics.inactive(&service.name));
}

/// Releases what no service needs any more, once no new request can find it. Reports what has changed.
pub(super) fn retire_removed(
    old: &Services,
    new: &Services,
    config: &Config,
    metrics: &Metrics,
) -> ReloadReport {
    count_inactive(config, metrics);
    let inactive: HashSet<_> = config.inactive.iter().map(|service| service.name.as_str()).collect();
    let (before, now) = (old.by_name(), new.by_name());
    let mut report = ReloadReport::default();
    let upstreams: HashSet<_> =
        new.entries.iter().map(|entry| Arc::as_ptr(&entry.service.upstream)).collect();
    for entry in &old.entries {
        let (name, service) = (&entry.config.name, &entry.service);
        if !upstreams.contains(&Arc::as_ptr(&service.upstream)) {
            service.upstream.retire();
        }
        match now.get(name.as_str()) {
            None => {
                if inactive.contains(name.as_str()) {
                    metrics.remove_token(name);
                } else {
                    metrics.remove_service(name);
                }
                report.removed.push(name.clone());
            }
            Some(now) => {
                if !now.service.credential.requests_tokens() {
                    metrics.remove_token(name);
                }
                if now.config != entry.config {
                    report.changed.push(name.clone());
                }
            }
        }
    }
    let added = new.entries.iter().filter(|entry| !before.contains_key(entry.config.name.as_str()));
    report.added = added.map(|entry| entry.config.name.clone()).collect();
    report
}
