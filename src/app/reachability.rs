//! The servers that a configuration leads to, without a credential: for `sidekey check --online`.

use std::sync::Arc;

use anyhow::Context;
use prometheus::Registry;

use super::services::Workshop;
use crate::config;
use crate::config::{Auth, Config, Host, OAuth2, Tls, TokenUrl, Tracing};
use crate::credential;
use crate::diagnose::{Role, Server};
use crate::metrics::Metrics;
use crate::net::dns::Resolver;
use crate::oauth2::refresh_tokens::RefreshTokenRegistry;
use crate::otel;
use crate::tls::client::{TlsClients, server_name};
use crate::upstream::{ConnectProbe, EndpointTls};

/// Every upstream URL and every token endpoint or issuer, in the order of the file, and the collector of traces; nothing is
/// connected yet.
pub fn servers(config: &Config) -> anyhow::Result<Vec<Server>> {
    let resolver = Resolver::from_system().context("cannot read this machine's resolver configuration")?;
    let workshop = Workshop {
        metrics: Arc::new(Metrics::new(&Registry::new())?),
        tls: Arc::new(TlsClients::new()),
        resolver,
        refresh_tokens: Arc::new(RefreshTokenRegistry::new(None)),
        traces: Arc::default(),
    };
    let mut servers = Vec::new();
    for service in &config.services {
        let mut add = |role, host, way| {
            let (service, limit) = (service.name.clone(), service.timeouts.connect);
            servers.push(Server { service, role, host, way, limit });
        };
        for way in ConnectProbe::for_upstream(workshop.upstream(service)?) {
            add(Role::Upstream, way.authority(), way);
        }
        if let Auth::OAuth2(oauth2) = &service.auth {
            let (role, host, way) = token_server(&workshop, oauth2)?;
            add(role, host, way);
        }
    }
    if let Some(tracing) = &config.tracing {
        servers.push(collector(&workshop, tracing)?);
    }
    Ok(servers)
}

/// The way that token requests go.
fn token_server(workshop: &Workshop, oauth2: &OAuth2) -> anyhow::Result<(Role, String, ConnectProbe)> {
    let (role, url) = match &oauth2.token_url {
        TokenUrl::Endpoint(url) => (Role::TokenEndpoint, url.clone()),
        TokenUrl::Issuer(issuer) => {
            let [url, _] = issuer.metadata_urls();
            (Role::Issuer, url)
        }
    };
    let to = place(&url)?;
    let shown = format!("{}:{}", to.0, to.1);
    let is_tls = url.scheme() == "https";
    let tls = tls(workshop, &url, &oauth2.tls)?;
    let (to, proxy) = match &oauth2.request.proxy {
        None => (to, None),
        // A proxy takes `http://` requests themselves, and opens tunnels for TLS.
        Some(proxy) if !is_tls => (place(&proxy.url)?, None),
        Some(proxy) => {
            let (host, port) = place(&proxy.url)?;
            (to, Some((host, port, credential::token_proxy_authorization(proxy))))
        }
    };
    Ok((role, shown, ConnectProbe::new(to, tls, proxy, workshop.resolver.clone())))
}

/// The way that traces go.
fn collector(workshop: &Workshop, tracing: &Tracing) -> anyhow::Result<Server> {
    let to = place(&tracing.url)?;
    let host = format!("{}:{}", to.0, to.1);
    let way =
        ConnectProbe::new(to, tls(workshop, &tracing.url, &tracing.tls)?, None, workshop.resolver.clone());
    let limit = otel::CONNECT_TIMEOUT;
    Ok(Server { service: "tracing".into(), role: Role::Collector, host, way, limit })
}

/// As requests of Sidekey's own have it: the name is the URL's.
fn tls(workshop: &Workshop, url: &url::Url, tls: &Tls) -> anyhow::Result<EndpointTls> {
    if url.scheme() != "https" {
        return Ok(None);
    }
    let name = server_name(&place(url)?.0, &Tls::default())
        .with_context(|| format!("the name of {} cannot be verified", url.origin().ascii_serialization()))?;
    Ok(Some((workshop.tls.client(tls)?, name)))
}

fn place(url: &url::Url) -> anyhow::Result<(config::Host, u16)> {
    let host = Host::from(url.host().context("a URL without a host")?);
    Ok((host, url.port_or_known_default().context("a URL without a port")?))
}
