//! Which service a request is for: the listener it came in by, its host, or the first segment of its path. What
//! matches nothing is refused.

use std::collections::HashMap;

use crate::config::{Host, Service};

/// The routing table; built once, read by every request.
pub struct Routes {
    prefixes: HashMap<Box<str>, usize>,
    hosts: HashMap<Box<str>, usize>,
    upstreams: HashMap<Box<str>, usize>,
}

/// A match: the service, and what of the path and query goes to its upstream.
#[derive(Debug, PartialEq, Eq)]
pub struct Match<'a> {
    /// Index of the service in the configuration.
    pub service: usize,
    /// Starts with `/` or `?`, or is empty.
    pub rest: &'a str,
}

impl Routes {
    /// The table for these services; their index is their position.
    pub fn new(services: &[Service]) -> Self {
        let by = |keys: fn(&Service) -> Vec<String>| {
            let mut table = HashMap::new();
            for (index, service) in services.iter().enumerate() {
                for key in keys(service) {
                    // The first of two services with one upstream answers for its host.
                    table.entry(key.into_boxed_str()).or_insert(index);
                }
            }
            table
        };
        Self {
            prefixes: by(|service| vec![service.name.clone()]),
            hosts: by(|service| service.hosts.clone()),
            upstreams: by(|service| {
                let of = |host: &Host, port| [host.to_string(), format!("{host}:{port}")];
                service.upstreams().flat_map(|to| of(&to.host, to.port)).collect()
            }),
        }
    }

    /// Finds the service for a request.
    ///
    /// `own` is the service whose listener the request came in by; `host` its `Host` (or the authority of an
    /// absolute-form target, with `absolute` set, as an app sends it to `HTTP_PROXY`); `path` its path and query.
    pub fn find<'a>(
        &self,
        own: Option<usize>,
        host: &str,
        absolute: bool,
        path: &'a str,
    ) -> Option<Match<'a>> {
        if let Some(service) = own {
            return Some(Match { service, rest: path });
        }
        if absolute || !self.hosts.is_empty() {
            let authority = host.to_ascii_lowercase();
            let host = without_port(&authority);
            // A port of the scheme's own says nothing: the app writes `http://` where the upstream is `https://`.
            let port = authority[host.len()..].trim_start_matches(':');
            let is_usual = matches!(port, "" | "80" | "443");
            let by_host = || self.upstreams.get(host).filter(|_| is_usual);
            let upstream = || self.upstreams.get(&*authority).or_else(by_host).filter(|_| absolute);
            let service = self.hosts.get(host).or_else(upstream);
            if let Some(&service) = service {
                return Some(Match { service, rest: path });
            }
        }
        if absolute {
            return None;
        }
        let inner = path.strip_prefix('/')?;
        let end = inner.find(['/', '?']).unwrap_or(inner.len());
        let (name, rest) = inner.split_at(end);
        let &service = self.prefixes.get(name)?;
        Some(Match { service, rest })
    }
}

fn without_port(authority: &str) -> &str {
    // `[::1]:8080`: the colons inside the brackets are no port's.
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') => host,
        _ => authority,
    }
}

/// Whether a path would climb above where it starts, by `..` in any of its disguises: such a request could leave the
/// base path that its service is confined to.
///
/// Servers disagree on what separates segments, so each counts for as little as any of them makes of it: `a%2fb` is one
/// step down to a server that leaves `%2f` alone, `a%2f..` is a step up and not one down before it.
pub fn climbs(path: &str) -> bool {
    // `*` is the server as a whole (RFC 9112 §3.2.4).
    if path == "*" {
        return true;
    }
    // Nothing to look at in almost every path.
    if !path.contains("..") && !path.contains('%') {
        return false;
    }
    let path = path.split('?').next().unwrap_or_default().to_ascii_lowercase();
    let path = path.replace("%2e", ".").replace("%2f", "\\").replace("%5c", "\\").replace("%3b", ";");
    let mut depth = 0_i32;
    for segment in path.split('/') {
        // `..;x` is `..` and `;x` is nothing to servers that know path parameters.
        let parts = || segment.split('\\').map(|part| part.split(';').next().unwrap_or_default());
        let up: i32 = parts().map(|part| i32::from(part == "..")).sum();
        let down = i32::from(up == 0 && parts().any(|part| !matches!(part, "" | ".")));
        depth += down - up;
        if depth < 0 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Auth, Timeouts, Tls, Upstream, UpstreamOptions};
    use crate::secret::Secret;

    fn service(name: &str, host: &str, hosts: &[&str]) -> Service {
        Service {
            name: name.into(),
            upstream: Upstream {
                tls: true,
                host: Host::Name(host.into()),
                port: 443,
                base_path: String::new(),
            },
            hosts: hosts.iter().map(ToString::to_string).collect(),
            listen: vec![],
            auth: Auth::Bearer { token: Secret::new("t".into()).unwrap() },
            tls: Tls::default(),
            timeouts: Timeouts::default(),
            options: UpstreamOptions::default(),
            token_wait: std::time::Duration::ZERO,
            replay_on_401: true,
            optional: false,
        }
    }

    fn routes() -> Routes {
        Routes::new(&[
            service("billing", "billing.example.com", &[]),
            service("crm", "crm.example.com", &["crm.internal", "::1"]),
        ])
    }

    #[test]
    fn the_first_segment_names_the_service() {
        let routes = routes();
        let find =
            |path| routes.find(None, "127.0.0.1:8080", false, path).map(|found| (found.service, found.rest));
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
    fn a_host_or_a_listener_of_its_own_leads_to_a_service_too() {
        let routes = routes();
        let find = |host, absolute| {
            routes.find(None, host, absolute, "/billing/x").map(|found| (found.service, found.rest))
        };
        assert_eq!(find("CRM.internal:8080", false), Some((1, "/billing/x")));
        assert_eq!(find("[::1]:8080", false), Some((0, "/x")));
        assert_eq!(
            find("crm.example.com", false),
            Some((0, "/x")),
            "an upstream's host counts for a proxy request only"
        );
        assert_eq!(find("crm.example.com:80", true), Some((1, "/billing/x")));
        assert_eq!(find("crm.example.com:443", true), Some((1, "/billing/x")));
        assert_eq!(find("other.example.com", true), None);
        assert_eq!(find("crm.example.com:8443", true), None, "another port is another server");
        assert_eq!(routes.find(Some(1), "x", false, "/y"), Some(Match { service: 1, rest: "/y" }));
    }

    #[test]
    fn two_services_on_one_host_are_told_apart_by_their_ports() {
        let on = |port| {
            let mut service = service("on", "127.0.0.1", &[]);
            service.upstream.port = port;
            service
        };
        let routes = Routes::new(&[on(7001), on(7002), on(443)]);
        let find = |host| routes.find(None, host, true, "/x").map(|found| found.service);
        assert_eq!(find("127.0.0.1:7002"), Some(1));
        assert_eq!(find("127.0.0.1:7001"), Some(0));
        assert_eq!(find("127.0.0.1"), Some(0));
        assert_eq!(find("127.0.0.1:443"), Some(2));
        assert_eq!(find("127.0.0.1:7003"), None);
    }

    #[test]
    fn notices_a_path_that_climbs_out_of_its_base() {
        for path in [
            "/..",
            "/../admin",
            "/a/../../b",
            "/%2e%2E/x",
            "/..%2f..",
            "/.%2e/",
            "/a/..\\..\\b",
            "/..;x=1/",
            "/%2e%2e%5cx",
            "/a%2fb/../..",
            "/a\\b/../..",
            "/a%5Cb/../..",
            "/%2f/..",
            "/;x/..",
            "/..%3bx",
            "/a//../..",
            "*",
        ] {
            assert!(climbs(path), "{path}");
        }
        for path in [
            "",
            "/",
            "/a/../b",
            "/a..b",
            "/...",
            "/a?x=/../..",
            "/%20/",
            "/a/./b",
            "/a/%2e%2e/b",
            "/a%2fb/..",
            "/*",
        ] {
            assert!(!climbs(path), "{path}");
        }
    }
}
