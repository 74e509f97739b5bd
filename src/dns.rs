//! Names to addresses: asynchronous, cached by TTL, `/etc/hosts` and `/etc/resolv.conf` respected.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolverConfig;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use crate::config::Host;

/// Resolves host names; a clone shares the cache.
#[derive(Clone)]
pub struct Resolver(Arc<TokioResolver>);

impl Resolver {
    /// Reads the machine's resolver configuration. Without one (a container of its own making), names in `/etc/hosts`
    /// and literal addresses still work.
    pub fn from_system() -> io::Result<Self> {
        let builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!("no resolver configuration, so no DNS: {error}");
            TokioResolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default())
        });
        let resolver = builder.build().map_err(io::Error::other)?;
        Ok(Self(Arc::new(resolver)))
    }

    /// Every address of a host, in the resolver's order; at least one.
    pub async fn addresses(&self, host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
        let ips = match host {
            Host::Ip(ip) => vec![*ip],
            Host::Name(name) => self.lookup(name).await?,
        };
        Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = self.0.lookup_ip(name).await.map_err(|error| {
            if error.is_no_records_found() {
                no_such_host(name)
            } else {
                io::Error::other(format!("cannot look {name} up: {error}"))
            }
        })?;
        let ips: Vec<_> = found.iter().collect();
        if ips.is_empty() {
            return Err(no_such_host(name));
        }
        Ok(ips)
    }
}

fn no_such_host(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no such host: {name}"))
}

/// For the HTTP client of token endpoints.
impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let ips = resolver.lookup(name.as_str()).await?;
            let addresses: reqwest::dns::Addrs = Box::new(ips.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}
