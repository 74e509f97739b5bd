//! Checks the name constraints of the CA of `intercept` (RFC 5280 §4.2.1.10). Callers reject certificates for
//! other hosts, so a service that was added after the CA was created causes a warning.

use std::net::IpAddr;

use x509_parser::extensions::{GeneralName, GeneralSubtree, NameConstraints};

use super::host::Host;
use super::listen::intercept::Intercept;
use super::reader::value::Value;
use super::service::entry::ServiceConfig;
use super::wildcard;

/// Warns of hosts of services that the name constraints exclude.
pub(crate) fn warn_of_hosts_outside(value: &Value<'_>, intercept: &Intercept, services: &[ServiceConfig]) {
    let Ok((chain, _)) = intercept.read().and_then(|files| intercept.authority(&files)) else { return };
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(&chain[0]) else { return };
    let Ok(Some(constraints)) = certificate.name_constraints() else { return };
    let upstreams = services
        .iter()
        .flat_map(ServiceConfig::upstreams)
        .map(|upstream| upstream.host.clone().into_canonical());
    let names =
        services.iter().flat_map(|service| &service.hosts).filter_map(|name| wildcard::parse(name).ok());
    let mut outside: Vec<_> = upstreams
        .chain(names)
        .filter(|host| !permits(constraints.value, host))
        .map(|host| host.to_string())
        .collect();
    outside.sort();
    outside.dedup();
    if !outside.is_empty() {
        value.warn(format!(
            "the CA's name constraints exclude {}: callers reject its certificates for these hosts; \
             `sidekey ca init` creates a CA for the current hosts",
            outside.join(", ")
        ));
    }
}

/// Whether a certificate for this host is permitted: no excluded subtree contains the host, and a permitted
/// subtree of its kind does, if there is any.
fn permits(constraints: &NameConstraints<'_>, host: &Host) -> bool {
    let of_kind = |trees: &Option<Vec<GeneralSubtree<'_>>>| -> Vec<bool> {
        trees.iter().flatten().filter_map(|tree| has(&tree.base, host)).collect()
    };
    let (permitted, excluded) =
        (of_kind(&constraints.permitted_subtrees), of_kind(&constraints.excluded_subtrees));
    !excluded.contains(&true) && (permitted.is_empty() || permitted.contains(&true))
}

/// Whether a subtree contains the host; `None` if it is for another kind of name.
fn has(tree: &GeneralName<'_>, host: &Host) -> Option<bool> {
    match (tree, host) {
        (GeneralName::DNSName(tree), Host::Name(name)) => {
            let above = name.len().checked_sub(tree.len()).and_then(|at| name.split_at_checked(at));
            Some(above.is_some_and(|(below, rest)| {
                let is_whole =
                    below.is_empty() || below.ends_with('.') || tree.starts_with('.') || tree.is_empty();
                rest.eq_ignore_ascii_case(tree) && is_whole
            }))
        }
        // An address and a mask of the same length.
        (GeneralName::IPAddress(tree), Host::Ip(ip)) => {
            let bytes = match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            let (address, mask) = tree.split_at(tree.len() / 2);
            let masked = bytes.iter().zip(address).zip(mask);
            Some(
                address.len() == bytes.len()
                    && masked.into_iter().all(|((byte, own), mask)| byte & mask == own & mask),
            )
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::host;

    const HERE: &[u8] = &[127, 0, 0, 0, 255, 0, 0, 0];
    const NO_IP4: &[u8] = &[0; 8];

    fn tree(base: GeneralName<'static>) -> GeneralSubtree<'static> {
        GeneralSubtree { base }
    }

    #[test]
    fn subtree_contains_its_name_and_subdomains() {
        let constraints = NameConstraints {
            permitted_subtrees: Some(vec![
                tree(GeneralName::DNSName("api.example.com")),
                tree(GeneralName::DNSName(".x.example")),
            ]),
            excluded_subtrees: Some(vec![
                tree(GeneralName::DNSName("no.api.example.com")),
                tree(GeneralName::IPAddress(NO_IP4)),
            ]),
        };
        let permits = |name: &str| permits(&constraints, &host::parse(name).unwrap());
        for name in ["api.example.com", "API.example.com", "eu.api.example.com", "a.x.example"] {
            assert!(permits(name), "{name}");
        }
        for name in [
            "example.com",
            "notapi.example.com",
            "other.example",
            "a.no.api.example.com",
            "x.example",
            "127.0.0.1",
            "m",
        ] {
            assert!(!permits(name), "{name}");
        }
        assert!(permits("::1"), "nothing is said of addresses of version 6");
    }

    #[test]
    fn subtree_contains_addresses_of_its_network() {
        let permitted_subtrees = Some(vec![tree(GeneralName::IPAddress(HERE))]);
        let constraints = NameConstraints { permitted_subtrees, excluded_subtrees: None };
        let permits = |name: &str| permits(&constraints, &host::parse(name).unwrap());
        assert!(permits("127.0.0.1") && permits("127.9.9.9") && permits("api.example.com"));
        assert!(!permits("128.0.0.1") && !permits("::1"));
    }
}
