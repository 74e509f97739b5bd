//! Looks host names up, and keeps the answers.
//!
//! An answer is used for its TTL. If it is in use, it is refreshed in the background before the TTL ends.
//! While the name servers do not respond, the last answer stays in use (serve-stale, RFC 8767): an upstream
//! is not down because DNS is.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::config::ResolverConfig;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{ResolverBuilder, TokioResolver};
use parking_lot::Mutex;

use super::cache_entry::{CacheEntry, CacheState};
use crate::config::Host;
use crate::net::exhaustion;

/// Time to wait for a new answer if there is a stale one.
const STALE_WAIT: Duration = Duration::from_secs(1);
/// Time after which an unused entry may be removed.
const UNUSED_TTL: Duration = Duration::from_secs(3600);
/// Number of entries from which on unused ones are removed.
const MAX_ENTRIES: usize = 1024;
/// The limit on entries: beyond it, the longest unused ones are removed, however lately they were used.
const MAX_USED_ENTRIES: usize = 4 * MAX_ENTRIES;

/// Resolves host names. Clones share the cache.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    dns: TokioResolver,
    entries: Mutex<HashMap<Box<str>, Arc<CacheEntry>>>,
}

impl Resolver {
    /// Reads the machine's resolver configuration. Without one (in some containers), names in `/etc/hosts`
    /// and literal addresses still work.
    pub fn from_system() -> io::Result<Self> {
        let builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!("no resolver configuration, so DNS is not used: {error}");
            TokioResolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default())
        });
        Self::build(builder)
    }

    fn build(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> io::Result<Self> {
        // This module is the cache. A second cache below it would return the answer that is being replaced.
        builder.options_mut().cache_size = 0;
        let dns = builder.build().map_err(io::Error::other)?;
        Ok(Self(Arc::new(Inner { dns, entries: Mutex::default() })))
    }

    /// A resolver with a cache of its own, for hosts that callers name: they push no other name out of the cache.
    #[must_use]
    pub fn separate(&self) -> Self {
        Self(Arc::new(Inner { dns: self.0.dns.clone(), entries: Mutex::default() }))
    }

    /// Every address of a host, in the resolver's order; at least one.
    pub async fn addresses(&self, host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
        let ips = match host {
            Host::Ip(ip) => Arc::from([*ip]),
            Host::Name(name) => self.lookup(name).await?,
        };
        Ok(ips.iter().map(|&ip| SocketAddr::new(ip, port)).collect())
    }

    async fn lookup(&self, name: &str) -> io::Result<Arc<[IpAddr]>> {
        let entry = self.entry(name);
        match entry.state(Instant::now()) {
            CacheState::Fresh(ips) => Ok(ips),
            CacheState::Aging(ips) => {
                self.refresh_in_background(&entry);
                Ok(ips)
            }
            CacheState::Stale(ips) => {
                let newer = self.refresh_in_background(&entry);
                match tokio::time::timeout(STALE_WAIT, newer).await {
                    Ok(Ok(Ok(newer))) => Ok(newer),
                    _ => Ok(ips),
                }
            }
            CacheState::Failing(ips) => Ok(ips),
            CacheState::Unknown => self.query(&entry).await,
        }
    }

    fn entry(&self, name: &str) -> Arc<CacheEntry> {
        let mut entries = self.0.entries.lock();
        if let Some(entry) = entries.get(name) {
            return entry.clone();
        }
        if entries.len() >= MAX_ENTRIES {
            let now = Instant::now();
            entries.retain(|_, entry| !entry.is_unused_since(now, UNUSED_TTL));
        }
        if entries.len() >= MAX_USED_ENTRIES {
            let mut used: Vec<_> = entries.values().map(|entry| entry.last_used()).collect();
            let (_, &mut limit, _) = used.select_nth_unstable(MAX_ENTRIES);
            entries.retain(|_, entry| entry.last_used() > limit);
        }
        let entry = Arc::new(CacheEntry::new(name));
        entries.insert(name.into(), entry.clone());
        entry
    }

    /// Queries the name servers in the background. The task continues if the result is not awaited.
    fn refresh_in_background(
        &self,
        entry: &Arc<CacheEntry>,
    ) -> tokio::task::JoinHandle<io::Result<Arc<[IpAddr]>>> {
        let (resolver, entry) = (self.clone(), entry.clone());
        tokio::spawn(async move { resolver.query(&entry).await })
    }

    /// Queries the name servers. Concurrent queries for the same name wait for the first one, and share its
    /// answer.
    async fn query(&self, entry: &CacheEntry) -> io::Result<Arc<[IpAddr]>> {
        let mut guard = entry.lock_lookup().await;
        if let Some(ips) = guard.concurrent_result() {
            return Ok(ips);
        }
        self.0.dns.clear_cache();
        let answer = self.0.dns.lookup_ip(entry.name()).await;
        let answer = answer.map(|lookup| (lookup.iter().collect::<Arc<[_]>>(), lookup.valid_until()));
        match answer {
            Ok((ips, until)) if !ips.is_empty() => {
                guard.store(ips.clone(), until);
                Ok(ips)
            }
            Ok(_) => Err(guard.failed(&no_such_host(entry.name()))),
            Err(error) if error.is_no_records_found() => Err(guard.failed(&no_such_host(entry.name()))),
            // An exhaustion says nothing about the name, so the next request asks again.
            Err(error) => Err(exhaustion_behind(&error)
                .unwrap_or_else(|| guard.failed(&format!("cannot resolve {}: {error}", entry.name())))),
        }
    }
}

/// The exhaustion that is the cause of an error, if it is. The resolver passes on some causes, and hides others behind
/// `NoConnections`.
fn exhaustion_behind(error: &NetError) -> Option<io::Error> {
    match error {
        NetError::Io(error) if exhaustion::is_exhaustion(&**error) => {
            Some(error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error))
        }
        NetError::NoConnections => exhaustion::current(),
        _ => None,
    }
}

fn no_such_host(name: &str) -> String {
    format!("no such host: {name}")
}

/// Resolves names for the HTTP client of token endpoints and collectors.
impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let ips = resolver.lookup(name.as_str()).await?;
            let addresses: Vec<_> = ips.iter().map(|&ip| SocketAddr::new(ip, 0)).collect();
            let addresses: reqwest::dns::Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};

    use super::*;
    use crate::net::dns::name_server::{NameServer, Reply};

    fn resolver(server: &NameServer) -> Resolver {
        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let server = NameServerConfig::new([127, 0, 0, 1].into(), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, vec![], vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.options_mut().timeout = Duration::from_millis(200);
        builder.options_mut().attempts = 1;
        Resolver::build(builder).unwrap()
    }

    async fn lookup(resolver: &Resolver) -> io::Result<Vec<String>> {
        let name = Host::Name("api.example.com".into());
        let found = resolver.addresses(&name, 443).await?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn lookup_finds_all_addresses_with_one_query_per_ttl() {
        let server = NameServer::start().await;
        server.reply(Reply::of(&["192.0.2.1", "192.0.2.2", "2001:db8::1"], 300));
        let resolver = resolver(&server);
        let all = ["[2001:db8::1]:443", "192.0.2.1:443", "192.0.2.2:443"];
        let (first, second) = tokio::join!(lookup(&resolver), lookup(&resolver));
        assert_eq!(first.unwrap(), all);
        assert_eq!(second.unwrap(), all);
        assert_eq!(lookup(&resolver).await.unwrap(), all);
        // A and AAAA.
        assert_eq!(server.queries(), 2);
    }

    #[tokio::test]
    async fn answer_in_use_is_refreshed_in_background() {
        let server = NameServer::start().await;
        server.reply(Reply::of(&["192.0.2.1"], 4));
        let resolver = resolver(&server);
        assert_eq!(lookup(&resolver).await.unwrap(), ["192.0.2.1:443"]);
        server.reply(Reply::of(&["192.0.2.7"], 300));
        // Every lookup gets an answer at once; one of them, late in the TTL, starts the refresh.
        let mut lookups = 0;
        while lookup(&resolver).await.unwrap() != ["192.0.2.7:443"] {
            lookups += 1;
            assert!(lookups < 1000, "never refreshed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(lookups > 1, "the TTL is respected");
        assert_eq!(server.queries(), 4);
    }

    #[tokio::test]
    async fn stale_answer_is_used_while_name_servers_fail() {
        let server = NameServer::start().await;
        server.reply(Reply::of(&["192.0.2.1"], 1));
        let resolver = resolver(&server);
        assert_eq!(lookup(&resolver).await.unwrap(), ["192.0.2.1:443"]);
        for failure in [Reply::ServerFailure, Reply::Nothing] {
            server.reply(failure);
            let before = server.queries();
            while server.queries() == before {
                assert_eq!(lookup(&resolver).await.unwrap(), ["192.0.2.1:443"]);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(lookup(&resolver).await.unwrap(), ["192.0.2.1:443"]);
        }
        server.reply(Reply::of(&["192.0.2.9"], 300));
        while lookup(&resolver).await.unwrap() != ["192.0.2.9:443"] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn flood_of_names_is_bounded_and_apart_from_others() {
        let server = NameServer::start().await;
        server.reply(Reply::of(&["192.0.2.1"], 300));
        let resolver = resolver(&server);
        assert_eq!(lookup(&resolver).await.unwrap(), ["192.0.2.1:443"]);
        let of_callers = resolver.separate();
        for number in 0..100_000 {
            of_callers.entry(&format!("flood{number}.example.com")).state(Instant::now());
        }
        let held = of_callers.0.entries.lock().len();
        assert!(held <= MAX_USED_ENTRIES, "{held}");
        assert!(of_callers.0.entries.lock().contains_key("flood99999.example.com"), "the last one");
        let queries = server.queries();
        assert_eq!(lookup(&resolver).await.unwrap(), ["192.0.2.1:443"]);
        assert_eq!(server.queries(), queries, "still cached");
    }

    #[tokio::test]
    async fn name_without_answer_is_an_error_that_names_it() {
        let server = NameServer::start().await;
        server.reply(Reply::NoSuchName);
        let resolver = resolver(&server);
        assert_eq!(lookup(&resolver).await.unwrap_err().to_string(), "no such host: api.example.com");
        server.reply(Reply::Nothing);
        let error = lookup(&resolver).await.unwrap_err().to_string();
        assert!(error.starts_with("cannot resolve api.example.com: "), "{error}");
        server.reply(Reply::of(&["192.0.2.1"], 300));
        assert_eq!(lookup(&resolver).await.unwrap(), ["192.0.2.1:443"]);
    }
}
