//! Every series that Sidekey exports, in one struct. The registry is passed in: nothing here is global.
//!
//! A field's help text is what `/metrics` says of it. Labels are closed sets: a caller cannot make a new series.
//! A service's series are resolved once, in [`ServiceMetrics`]; a request only adds to what it finds there.

mod certificates;
mod reload;
mod traces;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

pub use certificates::CertificateMetrics;
pub use reload::ReloadMetrics;
pub use traces::TraceMetrics;

/// Seconds; from a proxy's own cost on loopback to a slow report.
const DURATIONS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

const PREVIOUS: &str = "sidekey_previous_credential_in_use";
const PREVIOUS_HELP: &str = "Whether requests have the secret from before a rotation (`previous`), because the upstream refuses the new one.";

/// All series, by name.
pub struct Metrics {
    requests_total: IntCounterVec,
    request_duration_seconds: HistogramVec,
    requests_in_flight: IntGaugeVec,
    upstream_duration_seconds: HistogramVec,
    errors_total: IntCounterVec,
    upstream_unauthorized_total: IntCounterVec,
    replays_total: IntCounterVec,
    token_fetch_total: IntCounterVec,
    token_fetch_duration_seconds: HistogramVec,
    token_fetch_consecutive_failures: IntGaugeVec,
    token_expiry_timestamp_seconds: GaugeVec,
    token_last_success_timestamp_seconds: GaugeVec,
    token_next_refresh_timestamp_seconds: GaugeVec,
    credential_ready: IntGaugeVec,
    previous_credential_in_use: IntGaugeVec,
    reload: ReloadMetrics,
    certificates: CertificateMetrics,
    traces: TraceMetrics,
    state_writes_total: IntCounterVec,
}

impl Metrics {
    /// Registers every series in `registry`, together with `process_*` where the platform has it.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
            registry.register(Box::new(collector.clone()))?;
            Ok(collector)
        }
        let counter =
            |name, help, labels: &[&str]| add(registry, IntCounterVec::new(Opts::new(name, help), labels)?);
        let int_gauge =
            |name, help, labels: &[&str]| add(registry, IntGaugeVec::new(Opts::new(name, help), labels)?);
        let gauge =
            |name, help, labels: &[&str]| add(registry, GaugeVec::new(Opts::new(name, help), labels)?);
        let histogram = |name, help, labels: &[&str]| {
            let opts = HistogramOpts::new(name, help).buckets(DURATIONS.to_vec());
            add(registry, HistogramVec::new(opts, labels)?)
        };

        let build = int_gauge("sidekey_build_info", "Always 1; the version is in the label.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;

        Ok(Self {
            reload: ReloadMetrics::new(registry)?,
            certificates: CertificateMetrics::new(registry)?,
            traces: TraceMetrics::new(registry)?,
            requests_total: counter(
                "sidekey_requests_total",
                "Requests answered, by service, method and class of the status code that the caller got.",
                &["service", "method", "code"],
            )?,
            request_duration_seconds: histogram(
                "sidekey_request_duration_seconds",
                "From the request's head read to the last byte of the response written.",
                &["service"],
            )?,
            requests_in_flight: int_gauge(
                "sidekey_requests_in_flight",
                "Requests read and not yet answered whole.",
                &["service"],
            )?,
            upstream_duration_seconds: histogram(
                "sidekey_upstream_duration_seconds",
                "From the request's head written to the upstream to the response's head read from it.",
                &["service"],
            )?,
            errors_total: counter(
                "sidekey_errors_total",
                "Requests that Sidekey itself could not serve, by the reason in the Sidekey-Error header.",
                &["service", "reason"],
            )?,
            upstream_unauthorized_total: counter(
                "sidekey_upstream_unauthorized_total",
                "Responses 401 from the upstream: it did not take the credential.",
                &["service"],
            )?,
            replays_total: counter(
                "sidekey_replays_total",
                "Requests sent once more after a 401, with another credential, by result (success, unauthorized, error).",
                &["service", "result"],
            )?,
            token_fetch_total: counter(
                "sidekey_token_fetch_total",
                "Token requests, by result (success, failure) and reason of the failure.",
                &["service", "result", "reason"],
            )?,
            state_writes_total: counter(
                "sidekey_state_writes_total",
                "Writes of tokens to state.dir, by result (success, failure).",
                &["service", "result"],
            )?,
            token_fetch_duration_seconds: histogram(
                "sidekey_token_fetch_duration_seconds",
                "Time of one token request.",
                &["service"],
            )?,
            token_fetch_consecutive_failures: int_gauge(
                "sidekey_token_fetch_consecutive_failures",
                "Token requests that failed since the last that succeeded.",
                &["service"],
            )?,
            token_expiry_timestamp_seconds: gauge(
                "sidekey_token_expiry_timestamp_seconds",
                "When the current token expires (Unix time).",
                &["service"],
            )?,
            token_last_success_timestamp_seconds: gauge(
                "sidekey_token_last_success_timestamp_seconds",
                "When a token was last obtained (Unix time).",
                &["service"],
            )?,
            token_next_refresh_timestamp_seconds: gauge(
                "sidekey_token_next_refresh_timestamp_seconds",
                "When the next token request is due (Unix time).",
                &["service"],
            )?,
            previous_credential_in_use: int_gauge(PREVIOUS, PREVIOUS_HELP, &["service"])?,
            credential_ready: int_gauge(
                "sidekey_credential_ready",
                "Whether the service has a usable credential right now.",
                &["service"],
            )?,
        })
    }

    /// The series of reloading.
    pub fn reload(&self) -> ReloadMetrics {
        self.reload.clone()
    }

    /// The series of certificate files.
    pub fn certificates(&self) -> CertificateMetrics {
        self.certificates.clone()
    }

    /// The series of traces.
    pub fn traces(&self) -> TraceMetrics {
        self.traces.clone()
    }

    /// Removes every series of a service that is gone.
    pub fn forget(&self, service: &str) {
        remove(&self.requests_total, service);
        remove(&self.request_duration_seconds, service);
        remove(&self.requests_in_flight, service);
        remove(&self.upstream_duration_seconds, service);
        remove(&self.errors_total, service);
        remove(&self.upstream_unauthorized_total, service);
        remove(&self.credential_ready, service);
        self.forget_previous(service);
        self.forget_token(service);
    }

    /// Removes the series of a service that has no previous secret any more.
    pub fn forget_previous(&self, service: &str) {
        remove(&self.previous_credential_in_use, service);
    }

    /// Removes the token series of a service that has no token any more.
    pub fn forget_token(&self, service: &str) {
        remove(&self.token_fetch_total, service);
        remove(&self.state_writes_total, service);
        remove(&self.token_fetch_duration_seconds, service);
        remove(&self.token_fetch_consecutive_failures, service);
        remove(&self.token_expiry_timestamp_seconds, service);
        remove(&self.token_last_success_timestamp_seconds, service);
        remove(&self.token_next_refresh_timestamp_seconds, service);
    }

    /// The request series of one service.
    pub fn service(&self, service: &str) -> ServiceMetrics {
        ServiceMetrics {
            name: service.to_owned(),
            requests_total: self.requests_total.clone(),
            errors_total: self.errors_total.clone(),
            replays_total: self.replays_total.clone(),
            requests: std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new())),
            errors: std::array::from_fn(|_| OnceLock::new()),
            request_duration: self.request_duration_seconds.with_label_values(&[service]),
            in_flight: self.requests_in_flight.with_label_values(&[service]),
            upstream_duration: self.upstream_duration_seconds.with_label_values(&[service]),
            upstream_unauthorized: self.upstream_unauthorized_total.with_label_values(&[service]),
            retired: AtomicBool::new(false),
        }
    }

    /// Counts an error of Sidekey's own; `service` is empty where the request led to none.
    pub fn error(&self, service: &str, reason: &str) {
        self.errors_total.with_label_values(&[service, reason]).inc();
    }

    /// Counts a request that was led to no upstream; `service` is empty where it led to no service either.
    pub fn answered(&self, service: &str, method: MethodLabel, status: u16) {
        let labels = [service, method.as_str(), CLASSES[class(status)]];
        self.requests_total.with_label_values(&labels).inc();
    }

    /// The token series of one service; only services with a token have them.
    pub fn token(&self, service: &str) -> TokenMetrics {
        TokenMetrics {
            name: service.to_owned(),
            fetch_total: self.token_fetch_total.clone(),
            state_writes: self.state_writes_total.clone(),
            fetch_duration: self.token_fetch_duration_seconds.with_label_values(&[service]),
            consecutive_failures: self.token_fetch_consecutive_failures.with_label_values(&[service]),
            expiry: self.token_expiry_timestamp_seconds.clone(),
            last_success: self.token_last_success_timestamp_seconds.clone(),
            next_refresh: self.token_next_refresh_timestamp_seconds.clone(),
        }
    }

    /// Whether a service's previous secret is in use; only services with one have it. Set when `/metrics` is read.
    pub fn previous_credential_in_use(&self, service: &str) -> IntGauge {
        self.previous_credential_in_use.with_label_values(&[service])
    }

    /// Whether a service's credential is usable; set when `/metrics` is read, so that it is never stale.
    pub fn credential_ready(&self, service: &str) -> IntGauge {
        self.credential_ready.with_label_values(&[service])
    }
}

/// Removes the series of one service, whatever their other labels are.
fn remove<B: MetricVecBuilder>(series: &MetricVec<B>, service: &str) {
    for family in series.collect() {
        for metric in family.get_metric() {
            let labels: HashMap<_, _> =
                metric.get_label().iter().map(|label| (label.name(), label.value())).collect();
            if labels.get("service") == Some(&service) {
                // Gone already where another thread was faster.
                let _ = series.remove(&labels);
            }
        }
    }
}

/// The reasons of Sidekey's own errors, as in the header `Sidekey-Error`; a test in `proxy` holds this to the code there.
pub const REASONS: [&str; 10] = [
    "unknown_service",
    "forbidden",
    "credential_unavailable",
    "upstream_connect",
    "upstream_tls",
    "upstream_timeout",
    "upstream_protocol",
    "bad_request",
    "too_large",
    "overloaded",
];

/// The reasons that mean: the upstream could not be reached, or not understood.
pub const UPSTREAM_REASONS: [&str; 4] =
    ["upstream_connect", "upstream_tls", "upstream_timeout", "upstream_protocol"];

/// The methods that are counted by name; any other is `OTHER`.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "OTHER"];
/// Classes of status codes.
pub const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The position of a status code's class.
fn class(status: u16) -> usize {
    usize::from(status / 100).clamp(1, CLASSES.len()) - 1
}

/// A request's method as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodLabel(usize);

impl MethodLabel {
    /// `CONNECT`
    pub const CONNECT: Self = Self(METHODS.len() - 2);
    /// A method that is not counted by name, or one that could not be read.
    pub const OTHER: Self = Self(METHODS.len() - 1);

    /// The label of a method.
    pub fn of(method: &str) -> Self {
        METHODS.iter().position(|known| *known == method).map_or(Self::OTHER, Self)
    }

    /// The label's text.
    pub fn as_str(self) -> &'static str {
        METHODS[self.0]
    }
}

/// One service's request series, resolved once so that a request does no label lookup.
pub struct ServiceMetrics {
    name: String,
    requests_total: IntCounterVec,
    errors_total: IntCounterVec,
    replays_total: IntCounterVec,
    requests: [[OnceLock<IntCounter>; CLASSES.len()]; METHODS.len()],
    errors: [OnceLock<IntCounter>; REASONS.len()],
    request_duration: Histogram,
    in_flight: IntGauge,
    upstream_duration: Histogram,
    upstream_unauthorized: IntCounter,
    /// The service is gone, and its series with it: requests still in flight bring none back.
    retired: AtomicBool,
}

impl ServiceMetrics {
    /// A request of this service begins.
    pub fn begin(&self) {
        self.in_flight.inc();
    }

    /// It ends; `status` is what the caller got, if it got one.
    pub fn end(&self, MethodLabel(method): MethodLabel, status: Option<u16>, took: Duration) {
        self.in_flight.dec();
        self.request_duration.observe(took.as_secs_f64());
        let Some(status) = status else { return };
        let class = class(status);
        let series = self.requests[method][class].get().or_else(|| {
            let labels = [self.name.as_str(), METHODS[method], CLASSES[class]];
            let first = || self.requests_total.with_label_values(&labels);
            (!self.is_retired()).then(|| self.requests[method][class].get_or_init(first))
        });
        if let Some(series) = series {
            series.inc();
        }
    }

    /// The upstream answered.
    pub fn upstream_answered(&self, status: u16, took: Duration) {
        self.upstream_duration.observe(took.as_secs_f64());
        if status == 401 {
            self.upstream_unauthorized.inc();
        }
    }

    /// A request was sent once more: `success`, `unauthorized` or `error`.
    pub fn replayed(&self, result: &str) {
        self.replays_total.with_label_values(&[self.name.as_str(), result]).inc();
    }

    /// Sidekey itself could not serve.
    pub fn error(&self, reason: &str) {
        if self.is_retired() {
            return;
        }
        let series = || self.errors_total.with_label_values(&[self.name.as_str(), reason]);
        match REASONS.iter().position(|known| *known == reason) {
            Some(known) => self.errors[known].get_or_init(series).inc(),
            None => series().inc(),
        }
    }

    /// The service is gone: from now on nothing makes a series.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// What was counted so far.
    pub fn totals(&self) -> Totals {
        let class = |class: usize| {
            self.requests.iter().filter_map(|method| method[class].get()).map(IntCounter::get).sum()
        };
        let error = |reason: &str| {
            let known = REASONS.iter().position(|known| *known == reason)?;
            self.errors[known].get().map(IntCounter::get)
        };
        Totals {
            classes: std::array::from_fn(class),
            unauthorized: self.upstream_unauthorized.get(),
            unreachable: UPSTREAM_REASONS.map(|reason| error(reason).unwrap_or_default()),
            duration_seconds: self.request_duration.get_sample_sum(),
            durations: self.request_duration.get_sample_count(),
        }
    }

    /// Requests in flight right now.
    pub fn in_flight(&self) -> i64 {
        self.in_flight.get()
    }
}

/// What one service's series have counted since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Requests answered, by class of status code from 1xx.
    pub classes: [u64; CLASSES.len()],
    /// Answers 401 of the upstream.
    pub unauthorized: u64,
    /// Errors of Sidekey's own, in the order of [`UPSTREAM_REASONS`].
    pub unreachable: [u64; UPSTREAM_REASONS.len()],
    /// Time that all requests took together, in seconds.
    pub duration_seconds: f64,
    /// How many requests that was.
    pub durations: u64,
}

/// One service's token series.
#[derive(Clone)]
pub struct TokenMetrics {
    name: String,
    fetch_total: IntCounterVec,
    state_writes: IntCounterVec,
    fetch_duration: Histogram,
    consecutive_failures: IntGauge,
    expiry: GaugeVec,
    last_success: GaugeVec,
    next_refresh: GaugeVec,
}

impl TokenMetrics {
    /// One token request ended; `reason` is empty for a success.
    pub fn fetched(&self, reason: &str, took: Duration) {
        let result = if reason.is_empty() { "success" } else { "failure" };
        self.fetch_total.with_label_values(&[self.name.as_str(), result, reason]).inc();
        self.fetch_duration.observe(took.as_secs_f64());
    }

    /// Tokens were written to `state.dir`, or could not be.
    pub fn state_written(&self, success: bool) {
        let result = if success { "success" } else { "failure" };
        self.state_writes.with_label_values(&[self.name.as_str(), result]).inc();
    }

    /// The token's state, as Unix times; set when `/metrics` is read. There is no series for what has not happened yet.
    pub fn state(
        &self,
        failures: u32,
        expiry: Option<f64>,
        last_success: Option<f64>,
        next_refresh: Option<f64>,
    ) {
        self.consecutive_failures.set(i64::from(failures));
        for (gauge, value) in
            [(&self.expiry, expiry), (&self.last_success, last_success), (&self.next_refresh, next_refresh)]
        {
            let labels = [self.name.as_str()];
            match value {
                Some(value) => gauge.with_label_values(&labels).set(value),
                // A 0 would read as 1970: an alert on it would fire before the first token.
                None => drop(gauge.remove_label_values(&labels)),
            }
        }
    }
}

/// The services that share one token; a reload may change which.
#[derive(Clone, Default)]
pub struct TokenUsers(Arc<Mutex<Vec<TokenMetrics>>>);

impl TokenUsers {
    /// These, from now on.
    pub fn set(&self, users: Vec<TokenMetrics>) {
        *self.0.lock() = users;
    }

    /// One token request ended; `reason` is empty for a success.
    pub fn fetched(&self, reason: &str, took: Duration) {
        self.0.lock().iter().for_each(|user| user.fetched(reason, took));
    }
}

impl TokenUsers {
    /// Tokens were written to `state.dir`, or not.
    pub fn state_written(&self, success: bool) {
        self.0.lock().iter().for_each(|user| user.state_written(success));
    }
}

impl From<Vec<TokenMetrics>> for TokenUsers {
    fn from(users: Vec<TokenMetrics>) -> Self {
        Self(Arc::new(Mutex::new(users)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_gone_leaves_no_series_and_its_neighbour_stays() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let text = || prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for name in ["billing", "crm"] {
            let service = metrics.service(name);
            service.begin();
            service.end(MethodLabel::of("GET"), Some(200), Duration::ZERO);
            service.upstream_answered(401, Duration::ZERO);
            service.error("too_large");
            let token = metrics.token(name);
            token.fetched("timeout", Duration::ZERO);
            token.fetched("", Duration::ZERO);
            token.state(1, None, None, None);
            assert!(!text().contains(&format!("sidekey_token_expiry_timestamp_seconds{{service=\"{name}")));
            token.state(1, Some(1.0), Some(1.0), Some(1.0));
            metrics.credential_ready(name).set(1);
        }
        let before = text().matches("service=\"crm\"").count();
        let billing = text().matches("service=\"billing\"").count();
        assert_eq!(before, billing);
        assert!(before > 60, "{}", text());
        metrics.forget("billing");
        assert_eq!(text().matches("service=\"billing\"").count(), 0, "{}", text());
        assert_eq!(text().matches("service=\"crm\"").count(), before);
    }

    #[test]
    fn totals_are_what_was_counted() {
        let service = Metrics::new(&Registry::new()).unwrap().service("billing");
        for (method, status) in [("GET", 200), ("POST", 201), ("GET", 502)] {
            service.begin();
            service.end(MethodLabel::of(method), Some(status), Duration::from_millis(10));
        }
        service.upstream_answered(401, Duration::ZERO);
        service.error("upstream_tls");
        service.error("forbidden");
        let totals = service.totals();
        assert_eq!(
            (totals.classes, totals.unauthorized, totals.unreachable),
            ([0, 2, 0, 0, 1], 1, [0, 1, 0, 0])
        );
        assert_eq!((totals.durations, (totals.duration_seconds * 1000.0).round()), (3, 30.0));
    }

    #[test]
    fn a_caller_cannot_make_a_new_series() {
        let registry = Registry::new();
        let service = Metrics::new(&registry).unwrap().service("billing");
        for method in ["GET", "BREW", "PROPFIND"] {
            service.begin();
            service.end(MethodLabel::of(method), Some(299), Duration::ZERO);
        }
        service.begin();
        service.end(MethodLabel::of("GET"), Some(999), Duration::ZERO);
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains(r#"sidekey_requests_total{code="2xx",method="OTHER",service="billing"} 2"#));
        assert!(text.contains(r#"sidekey_requests_total{code="5xx",method="GET",service="billing"} 1"#));
        assert!(text.contains(r#"sidekey_requests_in_flight{service="billing"} 0"#));
    }

    #[test]
    fn nothing_is_left_of_a_service_that_is_gone() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let (gone, stays) = (metrics.service("gone"), metrics.service("stays"));
        for service in [&gone, &stays] {
            service.begin();
            service.end(MethodLabel::of("GET"), Some(200), Duration::ZERO);
            service.error("upstream_connect");
            service.begin();
        }
        for name in ["gone", "stays"] {
            metrics.token(name).fetched("timeout", Duration::ZERO);
            metrics.credential_ready(name).set(1);
        }
        gone.retire();
        metrics.forget("gone");
        // One was still in flight.
        gone.end(MethodLabel::of("POST"), Some(502), Duration::ZERO);
        gone.error("upstream_timeout");
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(!text.contains("gone"), "{text}");
        assert!(
            text.contains(
                r#"sidekey_token_fetch_total{reason="timeout",result="failure",service="stays"} 1"#
            )
        );
    }
}
