//! The property of routing: a request goes to the service that its caller named, and its path never leaves the base path.
//!
//! An input is a `Host` and a target, each on a line of its own.

use super::host_readings::destination;
use super::path_readings::assert_is_inside;
use super::services::configuration;
use crate::config::{ServiceConfig, UpstreamUrl};
use crate::proxy::fuzzing::{HeaderBuffer, parse_request};
use crate::runtime::base_path::escapes_base_path;
use crate::runtime::route::{Match, MatchKind, Routes};

const CONFIG: &str = "services:
  crm: { upstream: 'https://crm.example.com/v2', hosts: [crm.internal], auth: { type: bearer, token: t } }
  billing: { upstream: 'https://api.example.com:8443', auth: { type: bearer, token: t } }
  a: { upstream: 'https://api.example.com/a', auth: { type: bearer, token: t } }
  deep: { upstream: 'https://api.example.com/a/b', auth: { type: bearer, token: t } }
  wild: { upstream: 'https://*.s3.example.com/w', hosts: ['*.s3.internal'], auth: { type: bearer, token: t } }
  own: { upstream: 'https://own.s3.example.com', auth: { type: bearer, token: t } }
  address: { upstream: 'http://127.0.0.1/a', hosts: ['::1'], auth: { type: bearer, token: t } }
";

thread_local! {
    static SERVICES: (Vec<ServiceConfig>, Routes) = {
        let services = configuration(CONFIG).services;
        let routes = Routes::new(&services, &[]);
        (services, routes)
    };
}

/// Checks the property on a host and a target.
pub fn route(input: &[u8]) {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let (Some(host), Some(target)) = (lines.next(), lines.next()) else { return };
    let head = [b"GET ", target, b" HTTP/1.1\r\nHost: ", host, b"\r\n\r\n"].concat();
    let mut header_buffer = HeaderBuffer::new();
    let Ok(head) = parse_request(&head, &mut header_buffer) else { return };
    SERVICES.with(|(services, routes)| {
        for dedicated in std::iter::once(None).chain((0..services.len()).map(Some)) {
            if let Some(found) = routes.find(dedicated, head.host, head.absolute, head.path) {
                assert!(
                    dedicated.is_none_or(|dedicated| dedicated == found.service),
                    "another listener's service"
                );
                check(
                    &services[found.service],
                    &found,
                    head.host,
                    head.absolute,
                    head.path,
                    dedicated.is_some(),
                );
            } else {
                assert!(dedicated.is_none() || head.absolute, "a dedicated listener without its service");
            }
            routes.is_service(dedicated, head.host, 443);
        }
    });
}

fn check(
    service: &ServiceConfig,
    found: &Match<'_>,
    host: &str,
    is_absolute: bool,
    path: &str,
    is_dedicated: bool,
) {
    let rest = found.path_and_query;
    match found.matched_by {
        MatchKind::PathPrefix => {
            assert_eq!(path, format!("/{}{rest}", service.name), "another path");
            assert!(!is_absolute && !is_dedicated);
        }
        MatchKind::Host => {
            assert_eq!(path, rest, "another path");
            let is_named = service.hosts.iter().any(|known| names(host, known));
            assert!(is_named || is_dedicated && !is_absolute, "a host that does not name the service");
        }
        MatchKind::UpstreamUrl => {
            let is_of = |url: &UpstreamUrl| {
                names(host, &url.host.to_string())
                    && is_port(host, url.port)
                    && path == format!("{}{rest}", url.base_path)
            };
            assert!(is_absolute && service.upstreams().any(is_of), "a URL that is not the service's");
        }
    }
    if !escapes_base_path(rest) {
        for url in service.upstreams().filter(|url| !url.base_path.is_empty()) {
            assert!(rest.is_empty() || rest.starts_with(['/', '?']), "a path that is no path");
            assert_is_inside(&url.base_path, rest);
        }
    }
}

/// Whether an authority names a host, or one that is a label below a wildcard, whatever its port.
fn names(authority: &str, host: &str) -> bool {
    if let Some(suffix) = host.strip_prefix("*.") {
        let Some((named, _)) = destination(authority) else { return false };
        let Some((label, below)) = named.split_once('.') else { return false };
        let is_label = (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        return below == suffix && is_label;
    }
    let (Some((named, _)), Some((host, _))) = (destination(authority), destination(host)) else {
        return false;
    };
    named == host
}

/// Whether an authority has this port, a default port, or none. An app writes `http://` even for `https://`.
fn is_port(authority: &str, port: u16) -> bool {
    let stated = destination(authority).and_then(|(_, port)| port);
    stated.is_none_or(|stated| stated == port || stated == 443)
}
