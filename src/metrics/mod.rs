//! Every series that Sidekey exports, in one struct. The registry is passed in: nothing here is global.
//!
//! A field's help text is what `/metrics` says of it. Labels are closed sets: a caller cannot make a new series.
//! A service's series are resolved once, in [`ServiceMetrics`]; a request only adds to what it finds there.

mod certificates;
mod reload;
mod requests;
mod token;
mod traces;

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

pub use certificates::CertificateMetrics;
pub use reload::ReloadMetrics;
pub use requests::{CLASSES, MethodLabel, REASONS, ServiceMetrics, Totals, UPSTREAM_REASONS};
pub use token::{TokenMetrics, TokenUsers};
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
        let labels = [service, method.as_str(), CLASSES[requests::class(status)]];
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
