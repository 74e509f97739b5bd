//! An entry of `services`.

use std::collections::HashMap;
use std::time::Duration;

use super::headers::HeaderChanges;
use super::protocol::{PROTOCOL, Protocol};
use super::timeouts::Timeouts;
use super::upstream::UpstreamOptions;
use super::upstream_url::UpstreamUrl;
use super::{headers, protocol, rules, timeouts, upstream};
use crate::config::auth::credentials;
use crate::config::auth::credentials::{AUTH, Credentials};
use crate::config::auth::settings::Auth;
use crate::config::host;
use crate::config::host::HOST;
use crate::config::http_url::{HTTP_URL, UrlPolicy};
use crate::config::listen::address::ListenAddresses;
use crate::config::listen::listener;
use crate::config::listen::listener::{LISTENERS, ListenerConfig};
use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::table::{Definition, Format, Key, Keys, Names};
use crate::config::reader::value::Value;
use crate::config::tls::client;
use crate::config::tls::client::TLS;
use crate::config::tls::model::Tls;
use crate::rules::Rules;

/// The format of `services`.
pub(crate) const SERVICES: Format = Format::Names(&Names {
    pattern: Some("^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"),
    min: 1,
    ..Names::of(SERVICE)
});

const SERVICE: Format = Format::Defined(&Definition {
    name: "service",
    description: "An upstream with its credential.",
    format: Format::Keys(&[KEYS, upstream::KEYS]),
});

const KEYS: Keys = &[
    Key::required(
        "upstream",
        Format::Distinct(&HTTP_URL),
        "The base URL that requests go to, or a list of URLs of the same API.",
    ),
    Key::required("auth", AUTH, "What is injected into requests."),
    Key::optional("hosts", Format::List(&HOST), "Host names that also lead here."),
    Key::optional("listen", LISTENERS, "Addresses that also lead here, without a path prefix."),
    Key::optional("headers", Format::Keys(&[headers::KEYS]), "Changes to the header fields of requests."),
    Key::optional("allow", rules::RULES, "Rules of which one must match a request."),
    Key::optional("deny", rules::RULES, "Rules that no request may match; they win over `allow`."),
    Key::optional("tls", TLS, "TLS toward the upstream."),
    Key::optional("protocol", PROTOCOL, "Version of HTTP toward the upstream.").or("auto"),
    Key::optional("timeouts", Format::Keys(&[timeouts::KEYS]), "Limits on waiting for the upstream."),
    Key::optional("token_wait", DURATION, "How long a request may wait for a token; may be 0s.").or("5s"),
    Key::optional(
        "rewrite_location",
        Format::Bool,
        "A `Location` inside the upstream is rewritten to the address that the caller used.",
    )
    .or("true"),
    Key::optional(
        "leak_guard",
        Format::Words(&LEAK_GUARD),
        "Where the credential is masked if a response repeats it.",
    )
    .or("headers"),
    Key::optional(
        "via",
        Format::Bool,
        "`Via` is added to forwarded messages. Default: that of the top level.",
    ),
    Key::optional(
        "retry_on_401",
        Format::Bool,
        "After a 401, a request is sent again with another credential.",
    )
    .or("true"),
    Key::optional("optional", Format::Bool, "Readiness does not wait for this service.").or("false"),
    Key::optional("allow_plaintext", Format::Bool, "`upstream` may be http:// to another machine.")
        .or("false"),
];

/// Whether the heads and trailers of responses are searched for the credential.
const LEAK_GUARD: [(&str, bool); 2] = [("headers", true), ("off", false)];

/// Default of `token_wait`.
const TOKEN_WAIT: Duration = Duration::from_secs(5);

/// A named upstream with its credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// The key under `services`: a path segment (`[A-Za-z0-9][A-Za-z0-9_.-]*`, at most 63 characters).
    pub name: String,
    /// The URL of the upstream.
    pub upstream: UpstreamUrl,
    /// Host names (lower case, without port) that are also routed to this service.
    pub hosts: Vec<String>,
    /// Listeners of this service only, on which requests have no path prefix.
    pub listen: Vec<ListenerConfig>,
    /// The injected credential.
    pub auth: Auth,
    /// Changes to the header fields of requests.
    pub headers: HeaderChanges,
    /// The requests that are accepted; `None`: all.
    pub rules: Option<Rules>,
    /// TLS toward the upstream.
    pub tls: Tls,
    /// The HTTP version toward the upstream.
    pub protocol: Protocol,
    /// Time limits toward the upstream.
    pub timeouts: Timeouts,
    /// Connections to the upstream, and limits.
    pub options: UpstreamOptions,
    /// Longest time that a request waits for the first token.
    pub token_wait: Duration,
    /// Whether a `Location` inside the upstream is rewritten to the address that the caller used.
    pub rewrite_location: bool,
    /// Whether the credential is masked where the head or the trailers of a response repeat it.
    pub leak_guard: bool,
    /// Whether `Via` is added to what is forwarded (RFC 9110 §7.6.3).
    pub via: bool,
    /// Whether a request is sent again after a 401, with another credential.
    pub retry_on_401: bool,
    /// Whether readiness does not depend on this service.
    pub optional: bool,
}

impl ServiceConfig {
    /// Every URL of `upstream`, the first one first.
    pub fn upstreams(&self) -> impl Iterator<Item = &UpstreamUrl> {
        std::iter::once(&self.upstream).chain(&self.options.alternatives)
    }
}

/// What services share, and what no two of them may have.
pub(crate) struct Shared<'a> {
    pub(crate) credentials: Credentials<'a>,
    pub(crate) addresses: ListenAddresses,
    /// For each host name the path and line of its entry.
    pub(crate) hosts: HashMap<String, String>,
    /// `via` of services that do not set it.
    pub(crate) via: bool,
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
            "the name of a service has letters, digits and `_.-`, starts with a letter or digit, \
             and has at most 63 characters",
        );
    }
    let mut mapping = value.mapping()?;
    // Read in the order in which error messages list them.
    let upstream = mapping.required("upstream");
    let auth = mapping.required("auth").and_then(|value| credentials::read(&value, &mut shared.credentials));
    let hosts = mapping.optional("hosts").map_or_else(Vec::new, |value| hosts(&value, shared));
    let listen = mapping
        .optional("listen")
        .map_or_else(Vec::new, |value| listener::read_all(&value, &mut shared.addresses));
    let headers = headers::read(&mut mapping);
    let rules = rules::read(&mut mapping);
    let tls = mapping.optional("tls");
    let protocol = mapping.optional("protocol").and_then(|value| protocol::read(&value)).unwrap_or_default();
    let timeouts = timeouts::read(&mut mapping);
    let token_wait =
        mapping.optional("token_wait").and_then(|value| duration::any(&value)).unwrap_or(TOKEN_WAIT);
    let rewrite_location =
        mapping.optional("rewrite_location").and_then(|value| value.boolean()).unwrap_or(true);
    let leak_guard =
        mapping.optional("leak_guard").and_then(|value| value.one_of(&LEAK_GUARD)).unwrap_or(true);
    let via = mapping.optional("via").and_then(|value| value.boolean()).unwrap_or(shared.via);
    let retry = mapping.optional("retry_on_401");
    let retry_on_401 = retry.as_ref().and_then(Value::boolean).unwrap_or(true);
    if let Some(value) = retry.filter(|_| !retry_on_401 && auth.as_ref().is_some_and(Auth::has_previous)) {
        value.error(
            "`previous` in `auth` has no effect if requests are not retried after a 401; remove one of the two",
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
        headers,
        rules,
        tls,
        protocol,
        timeouts,
        options,
        token_wait,
        rewrite_location,
        leak_guard,
        via,
        retry_on_401,
        optional,
    })
}

/// Whether a name is a path segment that needs no encoding and is not `.` or `..`.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Reads host names; no other service may have them.
fn hosts(value: &Value<'_>, shared: &mut Shared<'_>) -> Vec<String> {
    let mut hosts = Vec::new();
    for value in value.list().unwrap_or_default() {
        let Some(host) = value.parse(|text| host::parse(text).map(|host| host.to_string())) else { continue };
        if let Some(other) = shared.hosts.get(&host) {
            value.error(format!("the same host as {other}; a host belongs to one service"));
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
    fn service_name_is_a_path_segment() {
        for name in ["billing", "7", "a.b_c-d", "A", "x".repeat(63).as_str()] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "-a", "_a", "a/b", "a b", "é", "x".repeat(64).as_str()] {
            assert!(!is_name(name), "{name}");
        }
    }
}
