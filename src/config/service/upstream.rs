//! The keys of a service about connections to its upstream and about limits.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use super::response_head;
use super::response_head::ResponseHeadLimits;
use super::upstream_url;
use super::upstream_url::UpstreamUrl;
use crate::config::host::Host;
use crate::config::http_url::UrlPolicy;
use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::size;
use crate::config::reader::size::SIZE;
use crate::config::reader::table::{Definition, Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::config::service::proxy;
use crate::config::service::proxy::{PROXY, ProxyConfig};
use crate::config::wildcard;

/// The keys of a service that are read here.
pub(crate) const KEYS: Keys = &[
    Key::optional(
        "resolve",
        Format::OneOrMore(&Format::Text),
        "IP address or list of them, used instead of DNS.",
    ),
    Key::optional("pool", POOL, "Idle connections."),
    Key::optional("proxy", PROXY, "Forward proxy that opens tunnels to the upstream."),
    Key::optional(
        "circuit_breaker",
        CIRCUIT_BREAKER,
        "Rejects requests for a time after consecutive failures.",
    ),
    Key::optional(
        "max_in_flight",
        Format::Number(1, 1_000_000),
        "Limit on concurrent requests to the upstream.",
    ),
    Key::optional("rate_limit", RATE_LIMIT, "Limit on the rate of requests to the upstream."),
    Key::optional(
        "max_request_body",
        Format::AnyOf(&[Format::Number(0, u64::MAX), SIZE]),
        "Limit on the body of a request.",
    ),
    Key::optional("max_response_head", response_head::FORMAT, "Limits on the head of a response.")
        .or("128KiB"),
    Key::optional(
        "retry_idempotent",
        Format::Bool,
        "An idempotent request that got no response is sent again.",
    )
    .or("false"),
];

const POOL: Format = Format::Defined(&Definition {
    name: "pool",
    description: "Idle connections.",
    format: Format::Keys(&[POOL_KEYS]),
});

const POOL_KEYS: Keys = &[
    Key::optional(
        "max_idle",
        Format::Number(0, 1_000_000),
        "Limit on idle connections to each endpoint; 0 keeps none. Default: 1024 for each worker.",
    ),
    Key::optional("idle_timeout", DURATION, "How long a connection may be idle before it is closed.")
        .or("55s"),
];

const CIRCUIT_BREAKER: Format = Format::Defined(&Definition {
    name: "circuit_breaker",
    description: "Rejects requests for a time after consecutive failures.",
    format: Format::Keys(&[CIRCUIT_BREAKER_KEYS]),
});

const CIRCUIT_BREAKER_KEYS: Keys = &[
    Key::optional("consecutive_failures", Format::Number(1, 10_000), "Number of failures that open it.")
        .or("5"),
    Key::optional("open_duration", DURATION, "How long it is open: every request is rejected.").or("10s"),
];

/// The format of a limit on the rate of requests.
pub(crate) const RATE_LIMIT: Format = Format::Defined(&Definition {
    name: "rate_limit",
    description: "A rate, or a rate and a burst.",
    format: Format::AnyOf(&[RATE, Format::Keys(&[RATE_LIMIT_KEYS])]),
});

const RATE_LIMIT_KEYS: Keys = &[
    Key::required("rate", RATE, "Limit per second, minute or hour."),
    Key::optional(
        "burst",
        Format::Number(1, 1_000_000),
        "Number of requests that may come at once. Default: those of one second.",
    ),
];

const RATE: Format = Format::Defined(&Definition {
    name: "rate",
    description: "100/s, 600/m or 5000/h",
    format: Format::Text,
});

/// Connections to an upstream, and limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamOptions {
    /// The second and further URLs of `upstream`: the same API at other addresses.
    pub alternatives: Vec<UpstreamUrl>,
    /// `resolve`: addresses of the upstream's host, instead of DNS.
    pub resolve: Vec<IpAddr>,
    /// `pool`
    pub pool: PoolLimits,
    /// `proxy`
    pub proxy: Option<ProxyConfig>,
    /// `circuit_breaker`
    pub circuit_breaker: Option<CircuitBreakerConfig>,
    /// `max_in_flight`: largest number of concurrent requests.
    pub max_in_flight: Option<usize>,
    /// `rate_limit`
    pub rate_limit: Option<RateLimit>,
    /// `max_request_body`, in bytes.
    pub max_request_body: Option<u64>,
    /// `max_response_head`
    pub max_response_head: ResponseHeadLimits,
    /// `retry_idempotent`: whether an idempotent request without a response is sent again.
    pub retry_idempotent: bool,
}

/// `pool`: idle connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolLimits {
    /// Largest number of idle connections to one URL; `None` means 1024 for each worker.
    pub max_idle: Option<usize>,
    /// Time after which an idle connection is closed.
    pub idle_timeout: Duration,
}

impl Default for PoolLimits {
    /// The idle timeout is shorter than that of common servers (nginx has 75 s), so that Sidekey closes first
    /// and no request is sent on a connection that the server closes.
    fn default() -> Self {
        Self { max_idle: None, idle_timeout: Duration::from_secs(55) }
    }
}

/// `circuit_breaker`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitBreakerConfig {
    /// The number of consecutive failures that opens the circuit breaker.
    pub consecutive_failures: u32,
    /// How long it stays open before one request is tried.
    pub open_duration: Duration,
}

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        Self { consecutive_failures: 5, open_duration: Duration::from_secs(10) }
    }
}

/// `rate_limit`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Time between two requests at the full rate.
    pub interval: Duration,
    /// Number of requests that may be sent at once.
    pub burst: u32,
}

/// Reads the keys other than `upstream` itself.
pub(crate) fn read(mapping: &mut Mapping<'_>, upstreams: &[UpstreamUrl]) -> UpstreamOptions {
    let resolve = mapping.optional("resolve");
    let pool = mapping.optional("pool").and_then(|value| pool(&value)).unwrap_or_default();
    let proxy_value = mapping.optional("proxy");
    let proxy = proxy_value.as_ref().and_then(proxy::read);
    let circuit_breaker = mapping.optional("circuit_breaker").and_then(|value| circuit_breaker(&value));
    let max_in_flight = mapping.optional("max_in_flight").and_then(|value| value.number());
    let rate_limit = mapping.optional("rate_limit").and_then(|value| rate_limit(&value));
    let max_request_body = mapping.optional("max_request_body").and_then(|value| size::read(&value));
    let max_response_head = mapping
        .optional("max_response_head")
        .and_then(|value| response_head::read(&value))
        .unwrap_or_default();
    let retry = mapping.optional("retry_idempotent").and_then(|value| value.boolean());
    if let Some(value) = &resolve {
        if upstreams.len() > 1 {
            value.error("`resolve` is allowed with one `upstream` URL only");
        } else if proxy_value.is_some() {
            value.error("`resolve` has no effect with `proxy`: the proxy resolves the host");
        } else if upstreams.iter().any(|upstream| matches!(upstream.host, Host::Ip(_))) {
            value.error("`resolve` has no effect: the host of `upstream` is an address");
        }
    }
    UpstreamOptions {
        alternatives: upstreams.iter().skip(1).cloned().collect(),
        resolve: resolve.map_or_else(Vec::new, |value| addresses(&value)),
        pool,
        proxy,
        circuit_breaker,
        max_in_flight: max_in_flight.and_then(|number| usize::try_from(number).ok()),
        rate_limit,
        max_request_body,
        max_response_head,
        retry_idempotent: retry.unwrap_or_default(),
    }
}

/// Reads `upstream`: one URL, or several URLs of the same API.
pub(crate) fn upstreams(value: &Value<'_>, policy: &UrlPolicy) -> Vec<UpstreamUrl> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for value in value.one_or_more() {
        let Some(upstream) = value.parse(|text| upstream_url::parse_pattern(text, policy)) else { continue };
        if !seen.insert(upstream.clone()) {
            value.error("duplicate URL; remove one of them");
        }
        all.push(upstream);
    }
    all
}

/// Checks the URL with a wildcard, if there is one. `is_for_host`: the credential is valid for the host of its request only.
pub(crate) fn check_wildcard(value: &Value<'_>, upstreams: &[UpstreamUrl], is_for_host: bool) {
    let Some(pattern) = upstreams.iter().find_map(UpstreamUrl::pattern) else { return };
    if upstreams.len() > 1 {
        value.error(
            "a URL with a wildcard stands for several hosts already: it is the only URL of its service",
        );
    } else if let Some(Err(message)) =
        wildcard::suffix(pattern).map(|to| wildcard::check_owner(to, is_for_host))
    {
        value.error(message);
    }
}

fn addresses(value: &Value<'_>) -> Vec<IpAddr> {
    let read = |text: &str| text.parse().map_err(|_| "not an IP address (without a port)".to_owned());
    value.one_or_more().iter().filter_map(|value| value.parse(read)).collect()
}

fn pool(value: &Value<'_>) -> Option<PoolLimits> {
    let default = PoolLimits::default();
    let mut mapping = value.mapping()?;
    let max_idle = mapping.optional("max_idle").and_then(|value| value.number());
    let idle_timeout = mapping.optional("idle_timeout").and_then(|value| duration::positive(&value));
    mapping.reject_unknown_keys();
    Some(PoolLimits {
        max_idle: max_idle.and_then(|number| usize::try_from(number).ok()),
        idle_timeout: idle_timeout.unwrap_or(default.idle_timeout),
    })
}

fn circuit_breaker(value: &Value<'_>) -> Option<CircuitBreakerConfig> {
    let default = CircuitBreakerConfig::default();
    let mut mapping = value.mapping()?;
    let failures = mapping.optional("consecutive_failures").and_then(|value| value.number());
    let open_duration = mapping.optional("open_duration").and_then(|value| duration::positive(&value));
    mapping.reject_unknown_keys();
    Some(CircuitBreakerConfig {
        consecutive_failures: failures
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(default.consecutive_failures),
        open_duration: open_duration.unwrap_or(default.open_duration),
    })
}

/// Reads `100/s`, or `{ rate: 100/s, burst: 20 }`.
pub(crate) fn rate_limit(value: &Value<'_>) -> Option<RateLimit> {
    if value.is_number() {
        value.error(format!("a number without a unit; {RATES}"));
        return None;
    }
    if !value.is_map() {
        return value.parse(rate);
    }
    let mut mapping = value.mapping()?;
    let limit = mapping.required("rate").and_then(|value| value.parse(rate));
    let burst = mapping.optional("burst").and_then(|value| value.number());
    mapping.reject_unknown_keys();
    let limit = limit?;
    Some(RateLimit {
        burst: burst.and_then(|number| u32::try_from(number).ok()).unwrap_or(limit.burst),
        ..limit
    })
}

/// The end of an error message.
const RATES: &str = "a rate is written `100/s`, `600/m` or `5000/h`";

/// Parses a rate. The default burst is the number of requests of one second, at least one.
fn rate(text: &str) -> Result<RateLimit, String> {
    let (number, unit) = text.split_once('/').ok_or(RATES)?;
    let number: u32 = number.trim().parse().map_err(|_| RATES)?;
    let seconds = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(RATES.into()),
    };
    if !(1..=1_000_000).contains(&number) {
        return Err("a rate is a number from 1 to 1000000".into());
    }
    let interval = Duration::from_secs(seconds.into()) / number;
    Ok(RateLimit { interval, burst: (number / seconds).max(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_a_number_and_a_unit() {
        let of = |text| rate(text).map(|limit| (limit.interval.as_micros(), limit.burst));
        assert_eq!(of("100/s"), Ok((10_000, 100)));
        assert_eq!(of("600/m"), Ok((100_000, 10)));
        assert_eq!(of("1/h"), Ok((3_600_000_000, 1)));
        for wrong in ["", "100", "/s", "0/s", "1/d", "1.5/s", "-1/s", "1000001/s"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
