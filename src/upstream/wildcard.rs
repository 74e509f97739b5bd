//! The hosts of a URL with a wildcard. Callers name them, so there is an endpoint for each host that was named lately, in a bounded
//! number.
//!
//! If there are too many, those that no request uses are removed: first the ones that were named once only, the longest unused
//! first. So a flood of names does not close the connections of a host that is in use. A host that finds no place has an endpoint for
//! its one request, without idle connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::{HashMap, HashMapExt as _};
use parking_lot::Mutex;

use super::endpoint::{Endpoint, EndpointSettings};
use crate::config::{Tls, UpstreamUrl, wildcard};
use crate::tls::client::{TlsClient, server_name};

/// The limit on the hosts that have an endpoint.
pub(super) const MAX_HOSTS: usize = 1024;
/// How many endpoints are removed at once, so that not every new host has to look for one.
const REMOVED_AT_ONCE: usize = MAX_HOSTS / 16;

/// The endpoints of a URL with a wildcard.
pub struct WildcardUpstream {
    /// The URL with its wildcard.
    url: UpstreamUrl,
    /// The keys of the patterns whose hosts lead here: that of the URL, and those of `hosts`.
    keys: Box<[Box<str>]>,
    tls: Option<Arc<TlsClient>>,
    settings: EndpointSettings,
    hosts: Mutex<Hosts>,
}

struct Hosts {
    /// By the label that stands for the wildcard.
    held: HashMap<Box<str>, Held>,
    is_retired: bool,
}

struct Held {
    endpoint: Arc<Endpoint>,
    used: Instant,
    /// Whether more than one request has named the host.
    is_repeated: bool,
}

impl Held {
    /// Whether a request uses the endpoint.
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.endpoint) > 1
    }
}

impl WildcardUpstream {
    pub(super) fn new(
        url: &UpstreamUrl,
        hosts: &[String],
        tls: Option<Arc<TlsClient>>,
        settings: EndpointSettings,
    ) -> Self {
        let patterns = url.pattern().into_iter().chain(hosts.iter().map(String::as_str));
        let patterns = patterns.filter(|name| wildcard::suffix(name).is_some());
        Self {
            url: url.clone(),
            keys: patterns.map(|pattern| wildcard::key(pattern).into()).collect(),
            tls,
            // Callers name the hosts: their addresses have a place of their own.
            settings: EndpointSettings { resolver: settings.resolver.separate(), ..settings },
            hosts: Mutex::new(Hosts { held: HashMap::new(), is_retired: false }),
        }
    }

    /// The URL with its wildcard.
    pub fn url(&self) -> &UpstreamUrl {
        &self.url
    }

    /// The endpoint for a host that a caller has named, in canonical form; `None` if the host is not one label below the URL's
    /// suffix, or below that of a pattern in `hosts`.
    pub fn endpoint(&self, host: &str) -> Option<Arc<Endpoint>> {
        let (label, key) = wildcard::split(host)?;
        if !self.keys.iter().any(|own| **own == *key) {
            return None;
        }
        let mut hosts = self.hosts.lock();
        if let Some(held) = hosts.held.get_mut(label) {
            (held.used, held.is_repeated) = (Instant::now(), true);
            return Some(held.endpoint.clone());
        }
        let endpoint = Arc::new(self.new_endpoint(label)?);
        if hosts.held.len() >= MAX_HOSTS {
            hosts.make_room();
        }
        if hosts.is_retired || hosts.held.len() >= MAX_HOSTS {
            endpoint.retire();
        } else {
            let held = Held { endpoint: endpoint.clone(), used: Instant::now(), is_repeated: false };
            hosts.held.insert(label.into(), held);
        }
        Some(endpoint)
    }

    /// The endpoint for the host of a URL, and the path and query below it; `None` if it is not a URL below that of the upstream.
    pub fn at_url<'u>(&self, url: &'u str) -> Option<(Arc<Endpoint>, &'u str)> {
        let (host, path) = self.url.below(url)?;
        Some((self.endpoint(&host)?, path))
    }

    /// `None` if the host cannot be verified by TLS.
    fn new_endpoint(&self, label: &str) -> Option<Endpoint> {
        let url = self.url.with_label(label);
        let tls = match &self.tls {
            None => None,
            // `tls.server_name` is not allowed with a wildcard.
            Some(client) => Some((client.clone(), server_name(&url.host, &Tls::default()).ok()?)),
        };
        Some(Endpoint::new(&url, tls, &self.settings))
    }

    /// The number of hosts that have an endpoint.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.hosts.lock().held.len()
    }

    /// The failures of the host that has the fewest; `None` if no host was named lately.
    pub(super) fn min_consecutive_failures(&self) -> Option<u32> {
        self.hosts.lock().held.values().map(|held| held.endpoint.consecutive_failures()).min()
    }

    /// When the first certificate ends of those that the hosts presented last.
    pub(super) fn certificate_end(&self) -> Option<f64> {
        let hosts = self.hosts.lock();
        hosts.held.values().filter_map(|held| held.endpoint.certificate_end()).reduce(f64::min)
    }

    /// The number of open connections that no request is using.
    pub(super) fn idle_connections(&self) -> usize {
        self.hosts.lock().held.values().map(|held| held.endpoint.idle_connections()).sum()
    }

    /// Closes idle connections, and keeps none from now on.
    pub(super) fn retire(&self) {
        let mut hosts = self.hosts.lock();
        hosts.is_retired = true;
        hosts.held.drain().for_each(|(_, held)| held.endpoint.retire());
    }

    /// Closes connections that were idle for too long, and removes hosts that have none left.
    pub(super) fn sweep(&self) {
        let unused_for = self.settings.options.pool.idle_timeout;
        self.sweep_after(unused_for);
    }

    fn sweep_after(&self, unused_for: Duration) {
        self.hosts.lock().held.retain(|_, held| {
            held.endpoint.sweep();
            held.is_in_use() || held.used.elapsed() < unused_for || held.endpoint.idle_connections() > 0
        });
    }
}

impl Hosts {
    /// Removes the endpoints that are the least likely to be needed. Those in use stay.
    fn make_room(&mut self) {
        let unused = self.held.iter().filter(|(_, held)| !held.is_in_use());
        let mut unused: Vec<_> =
            unused.map(|(label, held)| ((held.is_repeated, held.used), label.clone())).collect();
        let count = REMOVED_AT_ONCE.min(unused.len());
        if count < unused.len() {
            unused.select_nth_unstable(count);
        }
        for (_, label) in &unused[..count] {
            if let Some(removed) = self.held.remove(label) {
                removed.endpoint.retire();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::config::{Host, Protocol, UpstreamOptions};
    use crate::net::dns::Resolver;

    fn upstream() -> WildcardUpstream {
        let url = UpstreamUrl {
            tls: true,
            host: Host::Name("*.s3.example.com".into()),
            port: 8443,
            base_path: "/v2".into(),
        };
        let settings = EndpointSettings {
            options: UpstreamOptions::default(),
            protocol: Protocol::default(),
            resolver: Resolver::from_system().unwrap(),
            proxy_authorization: None,
            sensitive_headers: Arc::from([]),
        };
        WildcardUpstream::new(&url, &["*.s3.internal".into(), "s3.local".into()], None, settings)
    }

    #[test]
    fn endpoint_is_that_of_the_named_host() {
        let upstream = upstream();
        let one = upstream.endpoint("bucket.s3.example.com").unwrap();
        assert_eq!(one.authority, "bucket.s3.example.com:8443");
        assert_eq!(one.url(), "https://bucket.s3.example.com:8443/v2");
        let alias = upstream.endpoint("bucket.s3.internal").unwrap();
        assert!(Arc::ptr_eq(&one, &alias), "the label of another pattern");
        for host in
            ["s3.example.com", "a.b.s3.example.com", "bucket.example.com", "s3.local", "a.s3.local", "[::1]"]
        {
            assert!(upstream.endpoint(host).is_none(), "{host}");
        }
        assert_eq!(upstream.held(), 1);
    }

    #[test]
    fn flood_of_hosts_is_bounded_and_spares_hosts_in_use() {
        let upstream = upstream();
        let mut neighbours = HashSet::new();
        for number in 0..10 {
            let host = format!("neighbour{number}.s3.example.com");
            upstream.endpoint(&host).unwrap();
            neighbours.insert(Arc::as_ptr(&upstream.endpoint(&host).unwrap()));
        }
        let in_flight = upstream.endpoint("in-flight.s3.example.com").unwrap();
        for number in 0..100_000 {
            upstream.endpoint(&format!("flood{number}.s3.example.com")).unwrap();
            assert!(upstream.held() <= MAX_HOSTS);
        }
        for number in 0..10 {
            let endpoint = upstream.endpoint(&format!("neighbour{number}.s3.example.com")).unwrap();
            assert!(neighbours.contains(&Arc::as_ptr(&endpoint)), "neighbour {number} was pushed out");
        }
        assert!(Arc::ptr_eq(&in_flight, &upstream.endpoint("in-flight.s3.example.com").unwrap()));
    }

    #[test]
    fn hosts_in_use_fill_all_places_and_more_are_served() {
        let upstream = upstream();
        let host = |number| format!("in-flight{number}.s3.example.com");
        let in_flight: Vec<_> =
            (0..2 * MAX_HOSTS).map(|number| upstream.endpoint(&host(number)).unwrap()).collect();
        assert_eq!(upstream.held(), MAX_HOSTS);
        drop(in_flight);
        upstream.sweep_after(Duration::from_secs(60));
        assert_eq!(upstream.held(), MAX_HOSTS, "used a moment ago");
        upstream.sweep_after(Duration::ZERO);
        assert_eq!(upstream.held(), 0);
        upstream.retire();
        assert!(upstream.endpoint(&host(1)).is_some() && upstream.held() == 0);
    }
}
