//! Gauges that are read from the state of the services when `/metrics` is: they cost no request anything, are never stale,
//! and a service that is gone has none.

use std::collections::{BTreeMap, BTreeSet};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

/// The state of one service.
#[derive(Debug, Clone, Default)]
pub struct ServiceState {
    /// Its name.
    pub service: String,
    /// The kind of its credential; empty if it could not be read.
    pub kind: String,
    /// Its labels by name, which are valid names of Prometheus.
    pub labels: BTreeMap<String, String>,
    /// Whether its settings on disk have a mistake.
    pub is_misconfigured: bool,
    /// Whether it does not run; it then has no credential and no connection.
    pub is_inactive: bool,
    /// Whether its credential is usable.
    pub is_ready: bool,
    /// Whether its previous secret is in use; `None` if it has none.
    pub is_previous_in_use: Option<bool>,
    /// Whether its circuit breaker is open; `None` if it has none.
    pub is_circuit_breaker_open: Option<bool>,
    /// Connections to its upstream that no request is using.
    pub idle_connections: usize,
    /// Requests that failed at its upstream since the last that got a response.
    pub upstream_failures: u32,
    /// When the certificate ends that its upstream presented last.
    pub upstream_certificate_end: Option<f64>,
    /// The host of its token endpoint; `None` if it has none.
    pub provider: Option<String>,
    /// `None` if it has no token.
    pub token: Option<TokenState>,
    /// The number of tokens that are held for callers; `None` if tokens are not those of callers.
    pub caller_tokens: Option<u32>,
}

/// The state of a service's token. Times are seconds of Unix time; `None` is what has not happened yet.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenState {
    /// Token requests that failed since the last that succeeded.
    pub consecutive_failures: u32,
    /// When the token expires.
    pub expiry: Option<f64>,
    /// When a token was last obtained.
    pub last_success: Option<f64>,
    /// When the next token request is due.
    pub next_refresh: Option<f64>,
    /// Whether the refresh token cannot be written to disk; `None` if it is not kept there.
    pub is_state_write_failing: Option<bool>,
    /// How far this machine's clock is ahead of the token endpoint's, in seconds.
    pub clock_skew: Option<f64>,
    /// When the certificate ends that the token endpoint presented last.
    pub certificate_end: Option<f64>,
}

/// One gauge; a service for which `value` is `None` has no series. A 0 in its place would read as 1970: an alert on it would
/// fire before the first token.
struct Gauge {
    name: &'static str,
    help: &'static str,
    /// A label besides `service`. A service without a value for it has no series.
    label: Option<Label>,
    value: fn(&ServiceState) -> Option<f64>,
}

/// The name of a label, and a service's value of it.
type Label = (&'static str, fn(&ServiceState) -> Option<&str>);

const GAUGES: [Gauge; 16] = [
    Gauge {
        name: "sidekey_service_misconfigured",
        help: "Whether the settings of the service on disk have a mistake: it does not run, or runs with its previous ones.",
        label: None,
        value: |state| Some(number(state.is_misconfigured)),
    },
    Gauge {
        name: "sidekey_credential_ready",
        help: "Whether the service has a usable credential right now.",
        label: None,
        value: |state| (!state.is_inactive).then(|| number(state.is_ready)),
    },
    Gauge {
        name: "sidekey_previous_credential_in_use",
        help: "Whether requests have the secret from before a rotation (`previous`), because the upstream rejects the new one.",
        label: None,
        value: |state| state.is_previous_in_use.map(number),
    },
    Gauge {
        name: "sidekey_circuit_breaker_open",
        help: "Whether the service's circuit breaker is open, so that requests are rejected.",
        label: None,
        value: |state| state.is_circuit_breaker_open.map(number),
    },
    Gauge {
        name: "sidekey_upstream_connections_idle",
        help: "Open connections to the upstream that no request is using.",
        label: None,
        value: |state| {
            let connections = u32::try_from(state.idle_connections).unwrap_or(u32::MAX);
            (!state.is_inactive).then_some(f64::from(connections))
        },
    },
    Gauge {
        name: "sidekey_token_request_consecutive_failures",
        help: "Token requests that failed since the last that succeeded.",
        label: None,
        value: |state| state.token.map(|token| token.consecutive_failures.into()),
    },
    Gauge {
        name: "sidekey_token_expiry_timestamp_seconds",
        help: "When the current token expires, as Unix time.",
        label: None,
        value: |state| state.token?.expiry,
    },
    Gauge {
        name: "sidekey_token_last_success_timestamp_seconds",
        help: "When a token was last obtained, as Unix time.",
        label: None,
        value: |state| state.token?.last_success,
    },
    Gauge {
        name: "sidekey_token_next_refresh_timestamp_seconds",
        help: "When the next token request is due, as Unix time.",
        label: None,
        value: |state| state.token?.next_refresh,
    },
    Gauge {
        name: "sidekey_state_write_failing",
        help: "Whether the service's refresh token cannot be written to `state.dir`, so that its grant is in danger.",
        label: None,
        value: |state| state.token?.is_state_write_failing.map(number),
    },
    Gauge {
        name: "sidekey_upstream_consecutive_failures",
        help: "Requests that failed at the upstream since the last that got a response.",
        label: None,
        value: |state| (!state.is_inactive).then(|| state.upstream_failures.into()),
    },
    Gauge {
        name: "sidekey_upstream_certificate_expiry_timestamp_seconds",
        help: "The notAfter of the certificate that the upstream presented last, as Unix time.",
        label: None,
        value: |state| state.upstream_certificate_end,
    },
    Gauge {
        name: "sidekey_token_endpoint_info",
        help: "Always 1; `provider` is the host of the token endpoint.",
        label: Some(("provider", |state| state.provider.as_deref())),
        value: |state| state.token.map(|_| 1.0),
    },
    Gauge {
        name: "sidekey_token_endpoint_certificate_expiry_timestamp_seconds",
        help: "The notAfter of the certificate that the token endpoint presented last, as Unix time.",
        label: None,
        value: |state| state.token?.certificate_end,
    },
    Gauge {
        name: "sidekey_caller_tokens",
        help: "Tokens that are held for callers.",
        label: None,
        value: |state| state.caller_tokens.map(f64::from),
    },
    Gauge {
        name: "sidekey_clock_skew_seconds",
        help: "How far this machine's clock is ahead of the token endpoint's, by the Date of its last response; negative if it is behind.",
        label: None,
        value: |state| state.token?.clock_skew,
    },
];

fn number(is_so: bool) -> f64 {
    u8::from(is_so).into()
}

/// The labels that every service has in `sidekey_service_info`.
const INFO_LABELS: [&str; 2] = ["service", "kind"];

/// `sidekey_service_info` of these services. Its label names are those of all of them; a service has an empty value for those that it
/// lacks.
fn info(states: &[ServiceState]) -> GaugeVec {
    let own: BTreeSet<&str> =
        states.iter().flat_map(|state| state.labels.keys().map(String::as_str)).collect();
    let names: Vec<_> = INFO_LABELS.into_iter().chain(own.iter().copied()).collect();
    let help = "Always 1; the labels are those of the service (`labels`), for alerts and dashboards.";
    let gauge =
        GaugeVec::new(Opts::new("sidekey_service_info", help), &names).expect("valid names of labels");
    for state in states {
        let value = |name: &&str| state.labels.get(*name).map_or("", String::as_str);
        let values: Vec<_> =
            [state.service.as_str(), &state.kind].into_iter().chain(own.iter().map(value)).collect();
        gauge.with_label_values(&values).set(1.0);
    }
    gauge
}

impl Gauge {
    fn empty(&self) -> GaugeVec {
        let labels: Vec<_> = std::iter::once("service").chain(self.label.map(|(name, _)| name)).collect();
        GaugeVec::new(Opts::new(self.name, self.help), &labels).expect("a valid name and help text")
    }
}

/// The collector of these gauges.
pub struct ServiceStates {
    read: Box<dyn Fn() -> Vec<ServiceState> + Send + Sync>,
    /// For their descriptions alone.
    empty: Vec<GaugeVec>,
}

impl ServiceStates {
    /// `read` gives the state of every service that there is, and is called for each scrape.
    pub fn new(read: impl Fn() -> Vec<ServiceState> + Send + Sync + 'static) -> Self {
        let empty = GAUGES.iter().map(Gauge::empty).chain([info(&[])]).collect();
        Self { read: Box::new(read), empty }
    }
}

impl Collector for ServiceStates {
    fn desc(&self) -> Vec<&Desc> {
        self.empty.iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let states = (self.read)();
        let family = |gauge: &Gauge| {
            let series = gauge.empty();
            for state in &states {
                let Some(value) = (gauge.value)(state) else { continue };
                match gauge.label.map(|(_, label)| label(state)) {
                    None => series.with_label_values(&[&state.service]).set(value),
                    Some(Some(label)) => series.with_label_values(&[&*state.service, label]).set(value),
                    Some(None) => {}
                }
            }
            series.collect()
        };
        GAUGES.iter().flat_map(family).chain(info(&states).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use prometheus::{Registry, TextEncoder};

    use super::*;

    #[test]
    fn state_gauges_follow_services_and_omit_unknown_values() {
        let states = Arc::new(Mutex::new(vec![
            ServiceState {
                service: "static".into(),
                kind: "bearer".into(),
                labels: BTreeMap::from([("team".into(), "sales".into())]),
                is_ready: true,
                idle_connections: 3,
                ..Default::default()
            },
            ServiceState {
                service: "oauth2".into(),
                is_circuit_breaker_open: Some(true),
                upstream_failures: 4,
                provider: Some("login.example.com".into()),
                token: Some(TokenState {
                    consecutive_failures: 2,
                    next_refresh: Some(9.5),
                    is_state_write_failing: Some(true),
                    clock_skew: Some(-90.0),
                    ..Default::default()
                }),
                ..Default::default()
            },
        ]));
        let registry = Registry::new();
        let read = states.clone();
        registry.register(Box::new(ServiceStates::new(move || read.lock().clone()))).unwrap();
        let series = || -> Vec<String> {
            let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        };
        assert_eq!(
            series(),
            [
                r#"sidekey_circuit_breaker_open{service="oauth2"} 1"#,
                r#"sidekey_clock_skew_seconds{service="oauth2"} -90"#,
                r#"sidekey_credential_ready{service="oauth2"} 0"#,
                r#"sidekey_credential_ready{service="static"} 1"#,
                r#"sidekey_service_info{kind="",service="oauth2",team=""} 1"#,
                r#"sidekey_service_info{kind="bearer",service="static",team="sales"} 1"#,
                r#"sidekey_service_misconfigured{service="oauth2"} 0"#,
                r#"sidekey_service_misconfigured{service="static"} 0"#,
                r#"sidekey_state_write_failing{service="oauth2"} 1"#,
                r#"sidekey_token_endpoint_info{provider="login.example.com",service="oauth2"} 1"#,
                r#"sidekey_token_next_refresh_timestamp_seconds{service="oauth2"} 9.5"#,
                r#"sidekey_token_request_consecutive_failures{service="oauth2"} 2"#,
                r#"sidekey_upstream_connections_idle{service="oauth2"} 0"#,
                r#"sidekey_upstream_connections_idle{service="static"} 3"#,
                r#"sidekey_upstream_consecutive_failures{service="oauth2"} 4"#,
                r#"sidekey_upstream_consecutive_failures{service="static"} 0"#,
            ]
        );
        states.lock().pop();
        assert!(series().iter().all(|line| !line.contains("oauth2")), "{:?}", series());
    }
}
