//! An entry of `services`.

use std::sync::Arc;
use std::time::Duration;

use super::claims::Claims;
use super::headers::HeaderChanges;
use super::labels::{LABELS, Labels};
use super::protocol::{PROTOCOL, Protocol};
use super::readiness::{READINESS, Readiness};
use super::refresh_on;
use super::refresh_on::{REFRESH_ON, RefreshOn};
use super::timeouts::Timeouts;
use super::upstream::UpstreamOptions;
use super::upstream_url::UpstreamUrl;
use super::{aws_region, headers, labels, protocol, readiness, rules, timeouts, upstream};
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
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Definition, Format, Key, Keys, Names};
use crate::config::reader::value::Value;
use crate::config::tls::client;
use crate::config::tls::client::TLS;
use crate::config::tls::model::Tls;
use crate::config::wildcard;
use crate::rules::Rules;

/// The format of `services`.
pub(crate) const SERVICES: Format =
    Format::Names(&Names { pattern: Some("^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"), ..Names::of(SERVICE) });

const SERVICE: Format = Format::Defined(&Definition {
    name: "service",
    description: "An upstream with its credential.",
    format: Format::Keys(&[OWN, KEYS, upstream::KEYS]),
});

/// The format of `defaults`.
pub(crate) const DEFAULTS: Format = Format::Defined(&Definition {
    name: "defaults",
    description: "Keys of services that do not have them: all but those that make a service what it is.",
    format: Format::Keys(&[KEYS, upstream::KEYS]),
});

/// The keys that make a service what it is, and exceptions that each service states itself: `defaults` cannot have them.
const OWN: Keys = &[
    Key::required(
        "upstream",
        Format::Distinct(&HTTP_URL),
        "The base URL that requests go to, or a list of URLs of the same API.",
    ),
    Key::required("auth", AUTH, "What is injected into requests."),
    Key::optional(
        "refresh_on",
        REFRESH_ON,
        "Responses, beside a 401, after which the credential is renewed.",
    ),
    Key::optional(
        "share",
        Format::Bool,
        "The token is shared by the processes of the fleet. Default: `shared.default`, if the credential can be shared.",
    ),
    Key::optional("hosts", Format::List(&HOST), "Host names that also lead here."),
    Key::optional("listen", LISTENERS, "Addresses that also lead here, without a path prefix."),
    Key::optional(
        "enabled",
        Format::Bool,
        "`false`: the service is checked, and every request for it is rejected.",
    )
    .or("true"),
    Key::optional("allow_plaintext", Format::Bool, "`upstream` may be http:// to another machine.")
        .or("false"),
];

/// The keys that `defaults` may have as well.
const KEYS: Keys = &[
    Key::optional("headers", headers::HEADERS, "Changes to the header fields of requests."),
    Key::optional("allow", rules::RULES, "Rules of which one must match a request."),
    Key::optional("deny", rules::RULES, "Rules that no request may match; they win over `allow`."),
    Key::optional("tls", TLS, "TLS toward the upstream."),
    Key::optional("protocol", PROTOCOL, "Version of HTTP toward the upstream.").or("auto"),
    Key::optional("timeouts", timeouts::TIMEOUTS, "Limits on waiting for the upstream."),
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
    Key::optional("readiness", READINESS, "Whether `/readyz` depends on this service.").or("first"),
    Key::optional("labels", LABELS, "Labels of `sidekey_service_info`, for alerts: `{ team: billing }`."),
];

/// Where responses are searched for the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeakGuardMode {
    /// Nowhere.
    Off,
    /// In heads and trailers.
    Headers,
    /// There, and in the first part of a text.
    Body,
}

const LEAK_GUARD: [(&str, LeakGuardMode); 3] =
    [("off", LeakGuardMode::Off), ("headers", LeakGuardMode::Headers), ("body", LeakGuardMode::Body)];

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
    /// Where the credential is masked if a response repeats it.
    pub leak_guard: LeakGuardMode,
    /// Whether `Via` is added to what is forwarded (RFC 9110 §7.6.3).
    pub via: bool,
    /// Whether a request is sent again after a 401, with another credential.
    pub retry_on_401: bool,
    /// Which responses, beside a 401, say that the credential was not accepted.
    pub refresh_on: Option<RefreshOn>,
    /// Whether readiness depends on this service.
    pub readiness: Readiness,
    /// Labels of `sidekey_service_info`, by name.
    pub labels: Labels,
    /// The file that it stands in.
    pub origin: Origin,
}

/// The file that a service stands in. It makes no difference to the service: all are equal.
#[derive(Debug, Clone)]
pub struct Origin(pub Arc<str>);

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

/// How requests find a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Host names (lower case, without port).
    pub hosts: Vec<String>,
    /// Listeners of this service only.
    pub listen: Vec<ListenerConfig>,
    /// Every URL of `upstream`.
    pub upstreams: Vec<UpstreamUrl>,
}

/// An entry of `services`, as far as it could be read.
pub(crate) struct Entry {
    /// The service; with `None` an error was reported.
    pub(crate) service: Option<ServiceConfig>,
    pub(crate) place: Place,
    pub(crate) claims: Claims,
    pub(crate) is_enabled: bool,
    pub(crate) kind: Option<&'static str>,
    pub(crate) readiness: Readiness,
    pub(crate) labels: Labels,
}

impl ServiceConfig {
    /// Every URL of `upstream`, the first one first.
    pub fn upstreams(&self) -> impl Iterator<Item = &UpstreamUrl> {
        std::iter::once(&self.upstream).chain(&self.options.alternatives)
    }
}

/// What services share.
pub(crate) struct Shared<'a> {
    pub(crate) credentials: Credentials<'a>,
    /// `via` of services that do not set it.
    pub(crate) via: bool,
    /// Whether the configuration has `callers`.
    pub(crate) has_callers: bool,
    /// `shared.default`, if the configuration has `shared`.
    pub(crate) shares: Option<bool>,
}

/// Reports an error if a text is no name of a service.
pub(crate) fn check_name(name: &str, value: &Value<'_>) -> bool {
    let is_valid = is_name(name);
    if !is_valid {
        value.error(
            "the name of a service has letters, digits and `_.-`, starts with a letter or digit, \
             and has at most 63 characters",
        );
    }
    is_valid
}

/// Reads a service.
pub(crate) fn read(name: &str, value: &Value<'_>, shared: &mut Shared<'_>) -> Entry {
    let claims = Claims { hosts: Vec::new(), addresses: ListenAddresses::new(shared.has_callers) };
    let mut entry = Entry { claims, ..Entry::default() };
    entry.service = fill(&mut entry, name, value, shared);
    entry
}

fn fill(entry: &mut Entry, name: &str, value: &Value<'_>, shared: &mut Shared<'_>) -> Option<ServiceConfig> {
    let mut mapping = value.mapping()?;
    // Read in the order in which error messages list them.
    let upstream = mapping.required("upstream");
    let auth = mapping.required("auth").and_then(|value| credentials::read(&value, &mut shared.credentials));
    let share = mapping.optional("share");
    let auth = auth.map(|auth| sharing(auth, share.as_ref(), shared.shares));
    entry.kind = auth.as_ref().map(Auth::kind);
    let refresh_on = mapping.optional("refresh_on");
    let can_renew = auth.as_ref().is_none_or(|auth| !auth.facts().is_fixed || auth.has_previous());
    let refresh_on = refresh_on.map(|value| refresh_on::read(&value, can_renew));
    let hosts = mapping.optional("hosts");
    let listen = mapping
        .optional("listen")
        .map_or_else(Vec::new, |value| listener::read_all(&value, &mut entry.claims.addresses));
    entry.place.listen.clone_from(&listen);
    let enabled = mapping.optional("enabled").and_then(|value| value.boolean());
    entry.is_enabled = enabled.unwrap_or(true);
    let plaintext = mapping.optional("allow_plaintext").and_then(|value| value.boolean()).unwrap_or_default();
    let policy = UrlPolicy { plaintext, query: false };
    let upstreams = upstream.as_ref().map_or_else(Vec::new, |value| upstream::upstreams(value, &policy));
    let is_for_host = auth.as_ref().is_none_or(|auth| auth.facts().is_for_host);
    if let Some(value) = &upstream {
        upstream::check_wildcard(value, &upstreams, is_for_host);
        if let Some(region) = auth.as_ref().and_then(|auth| auth.facts().region.as_deref()) {
            aws_region::warn_of_another(value, &upstreams, region);
        }
    }
    entry.place.upstreams.clone_from(&upstreams);
    let has_pattern = upstreams.iter().any(|url| url.pattern().is_some());
    let hosts = hosts.map_or_else(Vec::new, |value| self::hosts(&value, has_pattern, &mut entry.claims));
    entry.place.hosts.clone_from(&hosts);
    let settings = settings(&mut mapping, &upstreams, auth.as_ref());
    if let Some(value) = upstream.as_ref().filter(|_| has_pattern && settings.tls.server_name.is_some()) {
        value.error("with a wildcard, each host must prove its own name: remove `tls.server_name`");
    }
    mapping.reject_unknown_keys();
    entry.readiness = settings.readiness;
    entry.labels.clone_from(&settings.labels);
    let Settings { headers, rules, tls, protocol, timeouts, options, .. } = settings;
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
        token_wait: settings.token_wait,
        rewrite_location: settings.rewrite_location,
        leak_guard: settings.leak_guard,
        via: settings.via.unwrap_or(shared.via),
        retry_on_401: settings.retry_on_401,
        refresh_on,
        readiness: settings.readiness,
        labels: settings.labels,
        origin: Origin(Arc::from(&*value.file())),
    })
}

/// The credential, shared if that is wanted and possible.
fn sharing(auth: Auth, share: Option<&Value<'_>>, default: Option<bool>) -> Auth {
    let Some(value) = share else {
        let is_shared = default == Some(true) && auth.facts().unshareable.is_none();
        return if is_shared { auth.shared() } else { auth };
    };
    let wanted = value.boolean().unwrap_or_default();
    if default.is_none() {
        value.error("this key has no effect without `shared` at the top level, which names the store");
    } else if let Some(why) = auth.facts().unshareable.filter(|_| wanted) {
        value.error(format!("this credential cannot be shared: {why}"));
    } else if wanted {
        return auth.shared();
    }
    auth
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            service: None,
            place: Place::default(),
            claims: Claims::default(),
            is_enabled: true,
            kind: None,
            readiness: Readiness::default(),
            labels: Labels::default(),
        }
    }
}

/// What `defaults` may have as well.
struct Settings {
    headers: HeaderChanges,
    rules: Option<Rules>,
    tls: Tls,
    protocol: Protocol,
    timeouts: Timeouts,
    options: UpstreamOptions,
    token_wait: Duration,
    rewrite_location: bool,
    leak_guard: LeakGuardMode,
    via: Option<bool>,
    retry_on_401: bool,
    readiness: Readiness,
    labels: Labels,
}

/// Reads `KEYS` and those of the upstream. No URL of an upstream is known where defaults are read.
fn settings(mapping: &mut Mapping<'_>, upstreams: &[UpstreamUrl], auth: Option<&Auth>) -> Settings {
    let headers = headers::read(mapping);
    let rules = rules::read(mapping);
    let tls = mapping.optional("tls");
    let protocol = mapping.optional("protocol").and_then(|value| protocol::read(&value)).unwrap_or_default();
    let timeouts = timeouts::read(mapping);
    let token_wait =
        mapping.optional("token_wait").and_then(|value| duration::any(&value)).unwrap_or(TOKEN_WAIT);
    let rewrite_location =
        mapping.optional("rewrite_location").and_then(|value| value.boolean()).unwrap_or(true);
    let leak_guard = mapping.optional("leak_guard").and_then(|value| value.one_of(&LEAK_GUARD));
    let leak_guard = leak_guard.unwrap_or(LeakGuardMode::Headers);
    let via = mapping.optional("via").and_then(|value| value.boolean());
    let retry = mapping.optional("retry_on_401");
    let retry_on_401 = retry.as_ref().and_then(Value::boolean).unwrap_or(true);
    if let Some(value) = retry.filter(|_| !retry_on_401 && auth.is_some_and(Auth::has_previous)) {
        value.error(
            "`previous` in `auth` has no effect if requests are not retried after a 401; remove one of the two",
        );
    }
    let is_https = upstreams.iter().map(|to| to.tls).reduce(|all, next| all && next);
    let tls = tls.map_or_else(Tls::default, |value| client::read(&value, is_https));
    let options = upstream::read(mapping, upstreams);
    let readiness = mapping.optional("readiness").and_then(|value| readiness::read(&value));
    let labels = mapping.optional("labels").map_or_else(Labels::default, |value| labels::read(&value));
    Settings {
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
        readiness: readiness.unwrap_or_default(),
        labels,
    }
}

/// Checks `defaults`: what is wrong for every service is reported here, once.
pub(crate) fn check_defaults(value: &Value<'_>) {
    let Some(mut mapping) = value.mapping() else { return };
    settings(&mut mapping, &[], None);
    mapping.reject_unknown_keys();
}

/// Whether a name is a path segment that needs no encoding and is not `.` or `..`.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Reads host names, and notes what no other service may have. With a wildcard in `upstream` they may have one as well.
fn hosts(value: &Value<'_>, has_pattern: bool, claims: &mut Claims) -> Vec<String> {
    let parse = if has_pattern { wildcard::parse } else { host::parse };
    let mut hosts = Vec::new();
    for value in value.list().unwrap_or_default() {
        let Some(host) = value.parse(|text| parse(text).map(|host| host.to_string())) else { continue };
        claims.hosts.push((host.clone(), value.spot()));
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
