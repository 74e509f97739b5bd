//! Services at run time, from the configuration, with a refresher for each distinct token.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;

use crate::config::{self, Auth, Config, OAuth2};
use crate::credential::{self, Credential};
use crate::dns::Resolver;
use crate::metrics::Metrics;
use crate::service::Service;
use crate::tls::{TlsClients, server_name};
use crate::token::chain::Chains;
use crate::token::endpoint::TokenEndpoint;
use crate::token::{Store, TokenSource, grants, refresher};
use crate::upstream::{EndpointTls, Upstream};

/// What services are made with.
pub(super) struct Workshop {
    pub(super) metrics: Arc<Metrics>,
    pub(super) tls: Arc<TlsClients>,
    pub(super) resolver: Resolver,
    pub(super) chains: Arc<Chains>,
}

/// The services that run.
pub(super) struct Services {
    in_order: Box<[Arc<Service>]>,
}

impl Services {
    /// Builds every service and starts its refresher.
    pub(super) fn start(workshop: &Workshop, config: &Config) -> anyhow::Result<Self> {
        let stores = workshop.start_refreshers(config)?;
        let services =
            config.services.iter().map(|service| Ok(Arc::new(workshop.service(service, &stores)?)));
        Ok(Self { in_order: services.collect::<anyhow::Result<_>>()? })
    }

    /// In the order of the configuration.
    pub(super) fn in_order(&self) -> &[Arc<Service>] {
        &self.in_order
    }
}

impl Workshop {
    /// Starts one refresher for each distinct credential: services with equal ones share a token.
    fn start_refreshers(&self, config: &Config) -> anyhow::Result<HashMap<OAuth2, Arc<Store>>> {
        let mut users: HashMap<&OAuth2, Vec<&str>> = HashMap::new();
        for service in &config.services {
            if let Auth::OAuth2(oauth2) = &service.auth {
                users.entry(oauth2).or_default().push(&service.name);
            }
        }
        let mut stores = HashMap::new();
        for (oauth2, names) in users {
            let client = self.tls.client(&oauth2.tls)?;
            let endpoint = TokenEndpoint::new(oauth2, client, self.resolver.clone())?;
            let metrics = names.iter().map(|name| self.metrics.token(name)).collect();
            let source: Arc<dyn TokenSource> = grants::source(endpoint, &names, &self.chains, metrics);
            let store = Arc::new(Store::new(oauth2.min_refresh_interval));
            tokio::spawn(refresher::run(names.join(", "), source, store.clone()));
            stores.insert(oauth2.clone(), store);
        }
        Ok(stores)
    }

    fn service(
        &self,
        config: &config::Service,
        stores: &HashMap<OAuth2, Arc<Store>>,
    ) -> anyhow::Result<Service> {
        let tls = config.upstreams().map(|url| self.endpoint_tls(url, &config.tls));
        let tls = tls.collect::<anyhow::Result<_>>()?;
        let proxy = config.options.proxy.as_ref().and_then(credential::proxy_authorization);
        Ok(Service {
            name: config.name.clone(),
            kind: config.auth.kind(),
            credential: Credential::new(&config.auth, |oauth2| stores[oauth2].clone()),
            upstream: Arc::new(Upstream::new(config, tls, &self.resolver, proxy.as_ref())),
            token_wait: config.token_wait,
            rewrite_location: config.rewrite_location,
            replay_on_401: config.replay_on_401,
            optional: config.optional,
            metrics: self.metrics.service(&config.name),
        })
    }

    fn endpoint_tls(&self, url: &config::Upstream, tls: &config::Tls) -> anyhow::Result<EndpointTls> {
        if !url.tls {
            return Ok(None);
        }
        let name = server_name(&url.host, tls).context("the upstream's name cannot be verified")?;
        Ok(Some((self.tls.client(tls)?, name)))
    }
}
