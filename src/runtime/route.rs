//! Finds the service of a request: by the listener that accepted it, by its host, or by the first segment of
//! its path. A request without a match is rejected.

use foldhash::{HashMap, HashMapExt as _};
use memchr::memchr2;
use std::cmp::Reverse;
use std::net::IpAddr;

use crate::config::{Authority, Host, InactiveService, ServiceConfig, UpstreamUrl, wildcard};

/// The routing table. Immutable.
pub struct Routes {
    prefixes: HashMap<Box<str>, usize>,
    /// Canonical hosts, and keys of wildcards, to services.
    hosts: HashMap<Box<str>, usize>,
    /// Canonical hosts, and keys of wildcards, to the upstreams there, the longest base path first.
    upstreams: HashMap<Box<str>, Vec<UpstreamRoute>>,
    has_wildcards: bool,
}

/// The URL of an upstream without its host, and its service.
struct UpstreamRoute {
    port: u16,
    base_path: Box<str>,
    service: usize,
    /// The addresses that take the place of DNS (`resolve`).
    addresses: Box<[IpAddr]>,
}

/// The service of a request, and the part of path and query that goes to its upstream.
#[derive(Debug, PartialEq, Eq)]
pub struct Match<'a> {
    /// Index of the service: of those that run, then of those that do not.
    pub service: usize,
    /// The part for the upstream. Starts with `/` or `?`, or is empty.
    pub path_and_query: &'a str,
    /// How the caller named the service, and so what precedes `path_and_query` in the caller's URL.
    pub matched_by: MatchKind,
}

/// How a caller names a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchKind {
    /// By the prefix `/<service>` before the path.
    PathPrefix,
    /// By a host or a listener that stands for the upstream's base URL: nothing precedes the path.
    Host,
    /// By the upstream's URL, as through a forward proxy: the base path precedes the path.
    UpstreamUrl,
}

impl Routes {
    /// The table for these services. A service that does not run has its place like any other one, and an index behind those that
    /// run.
    pub fn new(services: &[ServiceConfig], inactive: &[InactiveService]) -> Self {
        let mut table = Self {
            prefixes: HashMap::new(),
            hosts: HashMap::new(),
            upstreams: HashMap::new(),
            has_wildcards: false,
        };
        let mut waiting = inactive.iter().enumerate().peekable();
        for (index, service) in services.iter().enumerate() {
            while let Some((number, before)) = waiting.next_if(|(_, before)| before.position <= index) {
                table.add_inactive(services.len() + number, before);
            }
            table.add(index, &service.name, &service.hosts, service.upstreams(), &service.options.resolve);
        }
        for (number, service) in waiting {
            table.add_inactive(services.len() + number, service);
        }
        // The sort is stable: of two services with the same URL the first one in the file is found.
        for routes in table.upstreams.values_mut() {
            routes.sort_by_key(|route| Reverse(route.base_path.len()));
        }
        table
    }

    fn add_inactive(&mut self, index: usize, service: &InactiveService) {
        let place = &service.place;
        self.add(index, &service.name, &place.hosts, place.upstreams.iter(), &[]);
    }

    fn add<'u>(
        &mut self,
        service: usize,
        name: &str,
        hosts: &[String],
        upstreams: impl Iterator<Item = &'u UpstreamUrl>,
        addresses: &[IpAddr],
    ) {
        self.prefixes.entry(name.into()).or_insert(service);
        for host in hosts {
            self.has_wildcards |= wildcard::suffix(host).is_some();
            self.hosts.entry(wildcard::key(host).into()).or_insert(service);
        }
        for url in upstreams {
            self.has_wildcards |= url.pattern().is_some();
            let host = wildcard::key(&url.host.clone().into_canonical().to_string()).into();
            let base_path = url.base_path.clone().into_boxed_str();
            let route = UpstreamRoute { port: url.port, base_path, service, addresses: addresses.into() };
            self.upstreams.entry(host).or_default().push(route);
        }
    }

    /// Finds the service for a request.
    ///
    /// `dedicated` is the service that the listener is dedicated to. `host` is the `Host`, or the authority
    /// of an absolute-form target, as an app sends it to `HTTP_PROXY`; `absolute` is set then. `path` is path
    /// and query.
    pub fn find<'a>(
        &self,
        dedicated: Option<usize>,
        host: &str,
        absolute: bool,
        path: &'a str,
    ) -> Option<Match<'a>> {
        if let (Some(service), false) = (dedicated, absolute) {
            return Some(Match { service, path_and_query: path, matched_by: MatchKind::Host });
        }
        if absolute || !self.hosts.is_empty() {
            let authority = Authority::parse(host);
            // A dedicated listener accepts absolute-form requests for its own service only.
            let is_allowed = |service: usize| dedicated.is_none_or(|dedicated| dedicated == service);
            let by_host = authority.as_ref().and_then(|authority| self.at(&self.hosts, &authority.host));
            if let Some(&service) = by_host.filter(|service| is_allowed(**service)) {
                return Some(Match { service, path_and_query: path, matched_by: MatchKind::Host });
            }
            if absolute {
                return self.by_upstream(&authority?, path, is_allowed);
            }
        }
        let inner = path.strip_prefix('/')?;
        let end = memchr2(b'/', b'?', inner.as_bytes()).unwrap_or(inner.len());
        let (name, path_and_query) = inner.split_at(end);
        let &service = self.prefixes.get(name)?;
        Some(Match { service, path_and_query, matched_by: MatchKind::PathPrefix })
    }

    /// Whether a host is one of `hosts`. The host is canonical.
    pub fn has_host(&self, host: &str) -> bool {
        self.at(&self.hosts, host).is_some()
    }

    /// What a table has for a host: by its name, or by the wildcard that it is one label below. A host that has a name of its own
    /// there is none of the wildcard's.
    fn at<'t, T>(&self, table: &'t HashMap<Box<str>, T>, host: &str) -> Option<&'t T> {
        let found = table.get(host);
        // The key of a wildcard starts with a dot, which is no host.
        if !self.has_wildcards || (found.is_some() && !host.starts_with('.')) {
            return found;
        }
        table.get(wildcard::split(host)?.1)
    }

    /// The name in the certificate with which a `CONNECT` to this host of a service is intercepted: the host, or the wildcard that it
    /// is below, so that hosts which callers name have one certificate.
    pub fn certificate_name(&self, host: &Host) -> Host {
        let name = host.to_string();
        let has_own = self.hosts.contains_key(&*name) || self.upstreams.contains_key(&*name);
        match wildcard::split(&name) {
            Some((_, key))
                if !has_own && (self.hosts.contains_key(key) || self.upstreams.contains_key(key)) =>
            {
                Host::Name(wildcard::pattern(key))
            }
            _ => host.clone(),
        }
    }

    /// Whether a `CONNECT` to this host and port is for a service: the port is that of its upstream, or 80,
    /// because Sidekey translates plain HTTP to what the upstream uses. `dedicated` as in
    /// [`find`](Self::find). The host is canonical.
    pub fn is_service(&self, dedicated: Option<usize>, host: &str, port: u16) -> bool {
        let is_allowed = |service: usize| dedicated.is_none_or(|dedicated| dedicated == service);
        let is_upstream =
            |route: &UpstreamRoute| (port == 80 || port == route.port) && is_allowed(route.service);
        self.at(&self.hosts, host).is_some_and(|service| is_allowed(*service))
            || self.at(&self.upstreams, host).is_some_and(|routes| routes.iter().any(is_upstream))
    }

    /// The hosts of the upstreams with this port; that of a wildcard, which has no address, starts with a dot.
    pub fn upstreams_at(&self, port: u16) -> impl Iterator<Item = &str> {
        let at_port = move |routes: &[UpstreamRoute]| routes.iter().any(|route| route.port == port);
        self.upstreams.iter().filter(move |(_, routes)| at_port(routes)).map(|(host, _)| &**host)
    }

    /// The addresses that the configuration gives to upstreams with this port, in place of DNS.
    pub fn addresses_at(&self, port: u16) -> impl Iterator<Item = IpAddr> {
        let routes = self.upstreams.values().flatten();
        routes.filter(move |route| route.port == port).flat_map(|route| route.addresses.iter().copied())
    }

    /// The service whose base URL contains the caller's URL.
    fn by_upstream<'a>(
        &self,
        authority: &Authority<'_>,
        path: &'a str,
        is_allowed: impl Fn(usize) -> bool,
    ) -> Option<Match<'a>> {
        let routes = self.at(&self.upstreams, &authority.host)?;
        let port = match authority.port {
            Some(port) if routes.iter().any(|route| route.port == port) => Some(port),
            // A default port is ignored: an app writes `http://` even if the upstream is `https://`.
            None | Some(80 | 443) => None,
            Some(_) => return None,
        };
        let at_port = routes.iter().filter(|route| port.is_none_or(|port| route.port == port));
        at_port.filter(|route| is_allowed(route.service)).find_map(|route| {
            let path_and_query = path.strip_prefix(&*route.base_path)?;
            let is_below = path_and_query.is_empty() || path_and_query.starts_with(['/', '?']);
            let matched_by = MatchKind::UpstreamUrl;
            is_below.then_some(Match { service: route.service, path_and_query, matched_by })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        Auth, AuthFacts, Labels, LeakGuardMode, Origin, Readiness, Timeouts, Tls, UpstreamOptions,
        UpstreamUrl,
    };

    fn service(name: &str, host: &str, hosts: &[&str]) -> ServiceConfig {
        ServiceConfig {
            name: name.into(),
            upstream: UpstreamUrl {
                tls: true,
                host: Host::Name(host.into()),
                port: 443,
                base_path: String::new(),
            },
            hosts: hosts.iter().map(ToString::to_string).collect(),
            listen: vec![],
            auth: Auth::new("bearer", (), AuthFacts::default()),
            headers: crate::config::HeaderChanges::default(),
            rules: None,
            tls: Tls::default(),
            protocol: crate::config::Protocol::default(),
            timeouts: Timeouts::default(),
            options: UpstreamOptions::default(),
            token_wait: std::time::Duration::ZERO,
            rewrite_location: true,
            leak_guard: LeakGuardMode::Headers,
            via: false,
            retry_on_401: true,
            refresh_on: None,
            readiness: Readiness::First,
            labels: Labels::new(),
            origin: Origin("a.yaml".into()),
        }
    }

    fn routes() -> Routes {
        Routes::new(
            &[
                service("billing", "billing.example.com", &[]),
                service("crm", "crm.example.com", &["crm.internal", "[::1]"]),
            ],
            &[],
        )
    }

    #[test]
    fn find_matches_first_path_segment() {
        let routes = routes();
        let find = |path| {
            routes
                .find(None, "127.0.0.1:8080", false, path)
                .map(|found| (found.service, found.path_and_query))
        };
        assert_eq!(find("/billing/v1/x?y=1"), Some((0, "/v1/x?y=1")));
        assert_eq!(find("/billing"), Some((0, "")));
        assert_eq!(find("/billing?x"), Some((0, "?x")));
        assert_eq!(find("/billing//x"), Some((0, "//x")));
        for unknown in
            ["/", "", "/billin/x", "/billings", "/Billing/", "//billing/", "/%62illing/", "*", "billing/"]
        {
            assert_eq!(find(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn find_matches_host_and_dedicated_listener() {
        let routes = routes();
        let find = |host, absolute| {
            routes.find(None, host, absolute, "/billing/x").map(|found| (found.service, found.path_and_query))
        };
        assert_eq!(find("CRM.internal:8080", false), Some((1, "/billing/x")));
        assert_eq!(find("crm.internal.", false), Some((1, "/billing/x")), "a dot at the end");
        assert_eq!(find("[::1]:8080", false), Some((1, "/billing/x")));
        assert_eq!(find("[0:0::1]", false), Some((1, "/billing/x")));
        assert_eq!(find("not a host", false), Some((0, "/x")));
        assert_eq!(find("not a host", true), None);
        assert_eq!(find("CRM.example.com.:0443", true), Some((1, "/billing/x")));
        assert_eq!(
            find("crm.example.com", false),
            Some((0, "/x")),
            "an upstream's host counts for a proxy request only"
        );
        assert_eq!(find("crm.example.com:80", true), Some((1, "/billing/x")));
        assert_eq!(find("crm.example.com:443", true), Some((1, "/billing/x")));
        assert_eq!(find("other.example.com", true), None);
        assert_eq!(find("crm.example.com:8443", true), None, "another port is another server");
        let dedicated =
            |host, absolute| routes.find(Some(1), host, absolute, "/y").map(|found| found.service);
        assert_eq!(dedicated("x", false), Some(1));
        assert_eq!(dedicated("crm.example.com", true), Some(1));
        assert_eq!(dedicated("crm.internal", true), Some(1));
        assert_eq!(dedicated("billing.example.com", true), None, "another service than the listener's");
        assert_eq!(dedicated("other.example.com", true), None);
    }

    #[test]
    fn find_matches_one_label_below_a_wildcard() {
        let mut services = [
            service("s3", "*.s3.example.com", &["*.s3.internal"]),
            service("one", "special.s3.example.com", &["special.s3.internal"]),
        ];
        services[1].upstream.base_path = "/v2".into();
        let routes = Routes::new(&services, &[]);
        let find = |host, absolute, path| {
            routes.find(None, host, absolute, path).map(|found| (found.service, found.matched_by))
        };
        for host in [
            "bucket.s3.example.com",
            "BUCKET.s3.Example.com.",
            "bucket.s3.example.com:443",
            "xn--bcher-kva.s3.example.com",
        ] {
            assert_eq!(find(host, true, "/k"), Some((0, MatchKind::UpstreamUrl)), "{host}");
            assert_eq!(find(host, false, "/k"), None, "{host}: its own host counts for a proxy request only");
        }
        assert_eq!(find("bucket.s3.internal", false, "/k"), Some((0, MatchKind::Host)));
        assert_eq!(find("special.s3.internal", false, "/k"), Some((1, MatchKind::Host)));
        assert_eq!(find("special.s3.example.com", true, "/v2/k"), Some((1, MatchKind::UpstreamUrl)));
        assert_eq!(find("special.s3.example.com", true, "/k"), None, "the host is another service's");
        let long = format!("{}.s3.example.com", "a".repeat(64));
        for host in [
            "s3.example.com",
            ".s3.example.com",
            "a.b.s3.example.com",
            "evil.com#.s3.example.com",
            "evil.com/.s3.example.com",
            "evil.com?.s3.example.com",
            "user@bucket.s3.example.com",
            "user:p@bucket.s3.example.com",
            "[::1].s3.example.com",
            "127.0.0.1",
            "[::1]",
            "xn--.s3.example.com",
            "a\0.s3.example.com",
            "*.s3.example.com",
            "bucket.s3.example.com:8443",
            "bucket.s3.example.com.evil.com",
            "buckets3.example.com",
            "-.s3.example.com",
            long.as_str(),
        ] {
            assert_eq!(find(host, true, "/k"), None, "{host}");
            assert!(!routes.is_service(None, host, 443), "{host}");
        }
        let named = |host: &str| routes.certificate_name(&Host::Name(host.into())).to_string();
        assert!(routes.is_service(None, "bucket.s3.example.com", 443));
        assert!(!routes.is_service(None, "bucket.s3.example.com", 8443));
        assert_eq!(named("bucket.s3.example.com"), "*.s3.example.com");
        assert_eq!(named("special.s3.example.com"), "special.s3.example.com");
        assert_eq!(named("bucket.s3.internal"), "*.s3.internal");
    }

    #[test]
    fn find_distinguishes_services_by_port() {
        let on = |port| {
            let mut service = service("on", "127.0.0.1", &[]);
            service.upstream.port = port;
            service
        };
        let routes = Routes::new(&[on(7001), on(7002), on(443)], &[]);
        let find = |host| routes.find(None, host, true, "/x").map(|found| found.service);
        assert_eq!(find("127.0.0.1:7002"), Some(1));
        assert_eq!(find("127.0.0.1:7001"), Some(0));
        assert_eq!(find("127.0.0.1"), Some(0));
        assert_eq!(find("127.0.0.1:443"), Some(2));
        assert_eq!(find("[::ffff:127.0.0.1]:7002"), Some(1), "another spelling of the address");
        assert!(routes.is_service(None, "127.0.0.1", 7002) && !routes.is_service(None, "127.0.0.1", 7003));
        assert_eq!(find("127.0.0.1:7003"), None);
    }

    #[test]
    fn find_distinguishes_services_by_base_path() {
        let under = |base: &str| {
            let mut service = service("x", "api.example.com", &[]);
            service.upstream.base_path = base.into();
            service
        };
        let routes = Routes::new(&[under("/a"), under("/a/b"), under("/c"), under("/c")], &[]);
        let find = |path| {
            routes
                .find(None, "api.example.com", true, path)
                .map(|found| (found.service, found.path_and_query))
        };
        assert_eq!(find("/a/x?y"), Some((0, "/x?y")));
        assert_eq!(find("/a"), Some((0, "")));
        assert_eq!(find("/a?y"), Some((0, "?y")));
        assert_eq!(find("/a/b/x"), Some((1, "/x")));
        assert_eq!(find("/a/bx"), Some((0, "/bx")));
        assert_eq!(find("/c/x"), Some((2, "/x")));
        for outside in ["/", "", "/ax", "/A/x", "//a/x", "/d"] {
            assert_eq!(find(outside), None, "{outside}");
        }
    }
}
