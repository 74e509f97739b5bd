//! One entry under `services`.

use std::collections::HashMap;
use std::time::Duration;

use super::protocol::Protocol;
use super::timeouts::Timeouts;
use super::upstream::UpstreamOptions;
use super::upstream_url::UpstreamUrl;
use super::{protocol, timeouts, upstream};
use crate::config::auth::credentials;
use crate::config::auth::credentials::Credentials;
use crate::config::auth::settings::Auth;
use crate::config::host;
use crate::config::http_url::UrlPolicy;
use crate::config::listen::address::ListenAddresses;
use crate::config::listen::listener;
use crate::config::listen::listener::ListenerConfig;
use crate::config::reader::duration;
use crate::config::reader::value::Value;
use crate::config::tls::client;
use crate::config::tls::model::Tls;

const TOKEN_WAIT: Duration = Duration::from_secs(5);

/// A named upstream with its credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// The entry's name under `services`: a path segment (`[A-Za-z0-9][A-Za-z0-9_.-]*`, 63 characters at most).
    pub name: String,
    /// Where requests go.
    pub upstream: UpstreamUrl,
    /// Host names (lower case, without port) that also lead here.
    pub hosts: Vec<String>,
    /// Addresses of its own that also lead here, without a path prefix.
    pub listen: Vec<ListenerConfig>,
    /// What is injected.
    pub auth: Auth,
    /// TLS toward the upstream.
    pub tls: Tls,
    /// The version of HTTP that the upstream is spoken to in.
    pub protocol: Protocol,
    /// Limits on waiting for the upstream.
    pub timeouts: Timeouts,
    /// How the upstream is reached, and how much of it is used.
    pub options: UpstreamOptions,
    /// How long a request may wait for the very first token.
    pub token_wait: Duration,
    /// A `Location` inside the upstream is rewritten to the way the caller came in.
    pub rewrite_location: bool,
    /// Whether a request is sent again after a 401, with another credential.
    pub retry_on_401: bool,
    /// Does not hold readiness back.
    pub optional: bool,
}

impl ServiceConfig {
    /// Every URL of `upstream`, the first one first.
    pub fn upstreams(&self) -> impl Iterator<Item = &UpstreamUrl> {
        std::iter::once(&self.upstream).chain(&self.options.alternatives)
    }
}

/// What services share and may not have twice.
pub(crate) struct Shared<'a> {
    pub(crate) credentials: Credentials<'a>,
    pub(crate) addresses: ListenAddresses,
    /// Host name to the path and line that has it.
    pub(crate) hosts: HashMap<String, String>,
}

/// Reads every service, in the order of the file.
pub(crate) fn read_all(value: &Value<'_>, shared: &mut Shared<'_>) -> Option<Vec<ServiceConfig>> {
    let entries = value.entries()?;
    if entries.is_empty() {
        value.error("at least one service is required");
        return None;
    }
    let services: Vec<_> = entries.iter().map(|(name, value)| read(name, value, shared)).collect();
    services.into_iter().collect()
}

fn read(name: &str, value: &Value<'_>, shared: &mut Shared<'_>) -> Option<ServiceConfig> {
    if !is_name(name) {
        value.error(
            "a service's name is letters, digits and `_.-`, begins with a letter or digit, \
             and has 63 characters at most",
        );
    }
    let mut mapping = value.mapping()?;
    // Asked for in the order in which they are listed to the operator.
    let upstream = mapping.required("upstream");
    let auth = mapping.required("auth").and_then(|value| credentials::read(&value, &mut shared.credentials));
    let hosts = mapping.optional("hosts").map_or_else(Vec::new, |value| hosts(&value, shared));
    let listen = mapping
        .optional("listen")
        .map_or_else(Vec::new, |value| listener::read_all(&value, &mut shared.addresses));
    let tls = mapping.optional("tls");
    let protocol = mapping.optional("protocol").and_then(|value| protocol::read(&value)).unwrap_or_default();
    let timeouts = timeouts::read(&mut mapping);
    let token_wait =
        mapping.optional("token_wait").and_then(|value| duration::any(&value)).unwrap_or(TOKEN_WAIT);
    let rewrite_location =
        mapping.optional("rewrite_location").and_then(|value| value.boolean()).unwrap_or(true);
    let retry = mapping.optional("retry_on_401");
    let retry_on_401 = retry.as_ref().and_then(Value::boolean).unwrap_or(true);
    if let Some(value) = retry.filter(|_| !retry_on_401 && auth.as_ref().is_some_and(Auth::has_previous)) {
        value.error(
            "`previous` in `auth` is for sending a request once more after a 401; leave out one of the two",
        );
    }
    let optional = mapping.optional("optional").and_then(|value| value.boolean()).unwrap_or_default();
    let plaintext = mapping.optional("allow_plaintext").and_then(|value| value.boolean()).unwrap_or_default();
    let policy = UrlPolicy { plaintext, query: false };
    let upstreams = upstream.map_or_else(Vec::new, |value| upstream::upstreams(&value, &policy));
    let is_https = upstreams.iter().map(|to| to.tls).reduce(|all, next| all && next);
    let tls = tls.map_or_else(Tls::default, |value| client::read(&value, is_https));
    let options = upstream::read(&mut mapping, &upstreams);
    mapping.reject_unknown_keys();
    Some(ServiceConfig {
        name: name.to_owned(),
        upstream: upstreams.into_iter().next()?,
        hosts,
        listen,
        auth: auth?,
        tls,
        protocol,
        timeouts,
        options,
        token_wait,
        rewrite_location,
        retry_on_401,
        optional,
    })
}

/// A path segment that needs no encoding and cannot be `.` or `..`.
fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Host names that lead to this service and to no other.
fn hosts(value: &Value<'_>, shared: &mut Shared<'_>) -> Vec<String> {
    let mut hosts = Vec::new();
    for value in value.list().unwrap_or_default() {
        let Some(host) = value.parse(|text| host::parse(text).map(|host| host.to_string())) else { continue };
        if let Some(other) = shared.hosts.get(&host) {
            value.error(format!("the same host as {other}; a host leads to one service"));
            continue;
        }
        shared.hosts.insert(host.clone(), format!("`{}` on line {}", value.path(), value.line()));
        hosts.push(host);
    }
    hosts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_name_is_a_path_segment() {
        for name in ["billing", "7", "a.b_c-d", "A", "x".repeat(63).as_str()] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "-a", "_a", "a/b", "a b", "é", "x".repeat(64).as_str()] {
            assert!(!is_name(name), "{name}");
        }
    }
}
