//! The servers that a configuration names, to be probed without a credential: for `sidekey check --online`.

use std::time::Duration;

use anyhow::Context;
use prometheus::Registry;

use super::services::ServiceFactory;
use crate::config;
use crate::config::{
    Config, Host, OAuth2, ProxyConfig, SecretStoreServers, Tls, TokenUrl, Tracing, ValueServer,
};
use crate::credential;
use crate::diagnose::{ProbeResult, ProbeTarget, Role};
use crate::fleet::Fleet;
use crate::metrics::FleetMetrics;
use crate::otel;
use crate::tls::client::server_name;
use crate::upstream::{ConnectProbe, EndpointTls};

/// Limit on connecting to a store of secrets.
const STORE_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Lists every upstream URL and every server that a credential comes from, in the order of the file, the stores of secrets with the
/// servers of their keys, and the collector of traces. Connects to none of them.
pub fn probe_targets(config: &Config) -> anyhow::Result<Vec<ProbeTarget>> {
    // Refresh tokens are not needed, so the state directory is not opened.
    let factory = ServiceFactory::without_tokens()?;
    let mut targets = Vec::new();
    for service in &config.services {
        let mut add = |role, host, probe| {
            let (service, limit) = (service.name.clone(), service.timeouts.connect);
            targets.push(ProbeTarget { service, role, host, probe, limit });
        };
        for probe in ConnectProbe::for_upstream(factory.upstream(service, vec![])?) {
            add(Role::Upstream, probe.authority(), Some(probe));
        }
        if let Some(pattern) = service.upstream.pattern() {
            add(Role::Upstream, format!("{pattern}:{}", service.upstream.port), None);
        }
        for oauth2 in service.auth.all_settings::<OAuth2>() {
            let (role, host, probe) = token_endpoint_target(&factory, oauth2)?;
            add(role, host, Some(probe));
        }
        for ValueServer { name, key, url, tls, proxy } in credential::value_servers(&service.auth) {
            let (host, probe) = own_request(&factory, &url, &tls, proxy.as_ref())?;
            add(Role::Value(name, key), host, Some(probe));
        }
    }
    for store in &config.secret_stores {
        targets.append(&mut store_targets(&factory, store)?);
    }
    if let Some(tracing) = &config.tracing {
        targets.push(collector_target(&factory, tracing)?);
    }
    Ok(targets)
}

/// Whether the shared store can be reached, and accepts user and password; `None` if the configuration has none.
pub async fn probe_shared_store(config: &Config) -> anyhow::Result<Option<ProbeResult>> {
    let Some(shared) = &config.shared else { return Ok(None) };
    let factory = ServiceFactory::without_tokens()?;
    let metrics = FleetMetrics::new(&Registry::new())?;
    let fleet = Fleet::new(shared, &factory.tls, &factory.resolver, metrics);
    let fleet = fleet.map_err(|error| anyhow::anyhow!("`shared`: {error}"))?;
    let (problem, note) = match fleet.check().await {
        Ok(note) => (None, note),
        Err(error) => (Some(format!("{error}. See docs/FLEET.md")), None),
    };
    let host = shared.url.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let role = Role::SharedStore;
    Ok(Some(ProbeResult {
        service: "shared".into(),
        role,
        host,
        is_probed: true,
        problem,
        certificate: None,
        note,
    }))
}

/// The server that token requests go to.
fn token_endpoint_target(
    factory: &ServiceFactory,
    oauth2: &OAuth2,
) -> anyhow::Result<(Role, String, ConnectProbe)> {
    let (role, url) = match &oauth2.token_url {
        TokenUrl::Endpoint(url) => (Role::TokenEndpoint, url.clone()),
        TokenUrl::Issuer(issuer) => {
            let [url, _] = issuer.metadata_urls();
            (Role::Issuer, url)
        }
    };
    let (host, probe) = own_request(factory, &url, &oauth2.tls, oauth2.request.proxy.as_ref())?;
    Ok((role, host, probe))
}

/// A store of secrets, and the servers of the keys that sign requests to it.
fn store_targets(factory: &ServiceFactory, store: &SecretStoreServers) -> anyhow::Result<Vec<ProbeTarget>> {
    let SecretStoreServers { name, server, of_keys } = store;
    let service = format!("secret_stores.{name}");
    let target = |role, (host, probe)| ProbeTarget {
        service: service.clone(),
        role,
        host,
        probe: Some(probe),
        limit: STORE_CONNECT_TIMEOUT,
    };
    let own = own_request(factory, &server.url, &server.tls, server.proxy.as_ref())?;
    let mut targets = vec![target(Role::SecretStore, own)];
    for ValueServer { name, key, url, tls, proxy } in of_keys {
        let (role, own) = (Role::StoreKeys(name, key), own_request(factory, url, tls, proxy.as_ref())?);
        targets.push(target(role, own));
    }
    Ok(targets)
}

/// How to connect for a request that Sidekey makes for itself: the host and the probe.
fn own_request(
    factory: &ServiceFactory,
    url: &url::Url,
    tls: &Tls,
    proxy: Option<&ProxyConfig>,
) -> anyhow::Result<(String, ConnectProbe)> {
    let to = host_and_port(url)?;
    let host = format!("{}:{}", to.0, to.1);
    let (is_tls, tls) = (url.scheme() == "https", self::tls(factory, url, tls)?);
    let (to, proxy) = match proxy {
        None => (to, None),
        // A proxy takes `http://` requests themselves, and opens tunnels for TLS.
        Some(proxy) if !is_tls => ((proxy.host.clone(), proxy.port), None),
        Some(proxy) => (to, Some((proxy.host.clone(), proxy.port, credential::proxy_authorization(proxy)))),
    };
    Ok((host, ConnectProbe::new(to, tls, proxy, factory.resolver.clone())))
}

/// The server that traces are exported to.
fn collector_target(factory: &ServiceFactory, tracing: &Tracing) -> anyhow::Result<ProbeTarget> {
    let to = host_and_port(&tracing.url)?;
    let host = format!("{}:{}", to.0, to.1);
    let probe = Some(ConnectProbe::new(
        to,
        tls(factory, &tracing.url, &tracing.tls)?,
        None,
        factory.resolver.clone(),
    ));
    let limit = otel::CONNECT_TIMEOUT;
    Ok(ProbeTarget { service: "tracing".into(), role: Role::Collector, host, probe, limit })
}

/// The TLS of a request that Sidekey makes for itself: the name that is verified is that of the URL.
fn tls(factory: &ServiceFactory, url: &url::Url, tls: &Tls) -> anyhow::Result<EndpointTls> {
    if url.scheme() != "https" {
        return Ok(None);
    }
    let name = server_name(&host_and_port(url)?.0, &Tls::default())
        .with_context(|| format!("the name of {} cannot be verified", url.origin().ascii_serialization()))?;
    Ok(Some((factory.tls.client(tls)?, name)))
}

fn host_and_port(url: &url::Url) -> anyhow::Result<(config::Host, u16)> {
    let host = Host::from(url.host().context("a URL without a host")?);
    Ok((host, url.port_or_known_default().context("a URL without a port")?))
}
