//! All series of one process.

use std::sync::{Arc, OnceLock};

use prometheus::{IntGaugeVec, Opts, Registry};

use super::families::Families;
use super::per_service::{Owners, Part};
use super::requests::{CLASSES, MethodLabel, ServiceMetrics, class};
use super::{CertificateMetrics, ConnectionMetrics, ReloadMetrics, TokenMetrics, TraceMetrics};

/// The service of requests that lead to none.
const NO_SERVICE: &str = "";

/// All series, to be handed out to what they measure.
pub struct Metrics {
    families: Arc<Families>,
    owners: Owners,
    connections: ConnectionMetrics,
    reload: ReloadMetrics,
    certificates: CertificateMetrics,
    traces: TraceMetrics,
}

/// Registers the families of each process: the version, and `process_*` if the platform has it.
pub(super) fn register_process(registry: &Registry) -> prometheus::Result<()> {
    let build = Opts::new("sidekey_build_info", "Always 1; the version is in the label.");
    let build = IntGaugeVec::new(build, &["version"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(build))?;
    #[cfg(target_os = "linux")]
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    Ok(())
}

impl Metrics {
    /// Registers every family in `registry`, together with `process_*` if the platform has it.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        register_process(registry)?;
        let owners = Owners::default();
        owners.get_or_create(NO_SERVICE, Part::Requests);
        Ok(Self {
            families: Arc::new(Families::new(registry)?),
            owners,
            connections: ConnectionMetrics::new(registry)?,
            reload: ReloadMetrics::new(registry)?,
            certificates: CertificateMetrics::new(registry)?,
            traces: TraceMetrics::new(registry)?,
        })
    }

    /// The series of callers' connections.
    pub fn connections(&self) -> ConnectionMetrics {
        self.connections.clone()
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

    /// The request series of one service.
    pub fn service(&self, service: &str) -> ServiceMetrics {
        let (owner, families) = (self.owners.get_or_create(service, Part::Requests), self.families.clone());
        ServiceMetrics {
            requests: std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new())),
            errors: std::array::from_fn(|_| OnceLock::new()),
            request_duration: families.request_duration_seconds.initial(&owner),
            in_flight: families.requests_in_flight.initial(&owner),
            upstream_duration: families.upstream_response_headers_duration_seconds.initial(&owner),
            upstream_unauthorized: families.upstream_unauthorized_total.initial(&owner),
            owner,
            families,
        }
    }

    /// Has requests counted for a service that does not run.
    pub fn inactive(&self, service: &str) {
        self.owners.get_or_create(service, Part::Requests);
    }

    /// The token series of one service; only services with a token have them.
    pub fn token(&self, service: &str) -> TokenMetrics {
        let (owner, families) = (self.owners.get_or_create(service, Part::Token), self.families.clone());
        let request_duration = families.token_request_duration_seconds.initial(&owner);
        // Present from the start: the increase of a series that appears with its first failure misses that failure.
        families.state_writes_total.series(&owner, &["failure"]);
        families.logouts_total.series(&owner, &["failure"]);
        TokenMetrics { owner, families, request_duration }
    }

    /// Removes every series of a service that is gone. What it still has in flight brings none back.
    pub fn remove_service(&self, service: &str) {
        self.remove(service, Part::Requests);
        self.remove_token(service);
    }

    /// Removes the token series of a service that has no token any more.
    pub fn remove_token(&self, service: &str) {
        self.remove(service, Part::Token);
    }

    fn remove(&self, service: &str, part: Part) {
        if let Some(given) = self.owners.remove(service, part) {
            self.families.remove(service, part, &given);
        }
    }

    /// Counts an error of Sidekey's own; `service` is empty if the request led to none.
    pub fn error(&self, service: &str, reason: &str) {
        let owner = self.owners.get(service, Part::Requests);
        if let Some(series) =
            owner.and_then(|owner| self.families.request_errors_total.series(&owner, &[reason]))
        {
            series.inc();
        }
    }

    /// Counts a request that was sent to no upstream; `service` is empty if it led to no service either.
    pub fn answered(&self, service: &str, method: MethodLabel, status: u16) {
        let owner = self.owners.get(service, Part::Requests);
        let labels = [method.as_str(), CLASSES[class(status)]];
        if let Some(series) = owner.and_then(|owner| self.families.requests_total.series(&owner, &labels)) {
            series.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::TextEncoder;

    use super::*;
    use crate::metrics::{RequestTotals, RetryReason, RetryResult};

    fn text(registry: &Registry) -> String {
        TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    /// Does all that counts for a service, to the end of one request and to the middle of another.
    fn use_all(service: &ServiceMetrics, token: &TokenMetrics, method: &str) {
        service.begin();
        service.end(MethodLabel::of(method), Some(200), Duration::ZERO);
        service.upstream_answered(401, Duration::ZERO);
        service.retried(RetryReason::Unauthorized, RetryResult::Success);
        service.error("too_large");
        service.error("no such reason");
        service.begin();
        token.request_finished("timeout", Duration::ZERO);
        token.state_written(true);
    }

    #[test]
    fn removed_service_leaves_no_series_in_any_family() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let families = || {
            let all = registry.gather();
            let is_of = |name: &str, label: &str| {
                let all = all.iter().filter(|family| {
                    let has = |metric: &prometheus::proto::Metric| {
                        metric.get_label().iter().any(|one| one.name() == "service" && one.value() == label)
                    };
                    family.name() == name && family.get_metric().iter().any(has)
                });
                all.count() > 0
            };
            let of = |label: &str| -> Vec<String> {
                let names = all.iter().map(|family| family.name().to_owned());
                names.filter(|name| is_of(name, label)).collect()
            };
            (of("gone"), of("stays"))
        };
        let [gone, stays] = ["gone", "stays"].map(|name| (metrics.service(name), metrics.token(name)));
        // A reload changed the service; requests of both versions are in flight.
        let changed = (metrics.service("gone"), metrics.token("gone"));
        for (service, token) in [&gone, &stays, &changed] {
            use_all(service, token, "GET");
        }
        let (before, all) = families();
        assert_eq!(before, all);
        assert_eq!(all.len(), 11, "one for each row of the table: {all:?}");

        metrics.remove_service("gone");
        assert_eq!(families(), (vec![], all.clone()));
        // What was in flight ends, and a response comes late.
        for (service, token) in [&gone, &changed] {
            use_all(service, token, "POST");
            service.end(MethodLabel::of("PUT"), Some(502), Duration::ZERO);
            service.retried(RetryReason::Connect, RetryResult::Error);
            service.error("upstream_timeout");
        }
        metrics.error("gone", "forbidden");
        metrics.answered("gone", MethodLabel::OTHER, 403);
        assert_eq!(families(), (vec![], all.clone()));

        // A service of the same name is another one.
        let again = (metrics.service("gone"), metrics.token("gone"));
        use_all(&again.0, &again.1, "GET");
        assert_eq!(families(), (all.clone(), all));
        gone.0.retried(RetryReason::Unprocessed, RetryResult::Success);
        assert!(!text(&registry).contains(r#"reason="unprocessed""#));
    }

    #[test]
    fn removed_token_leaves_the_requests_series() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let (service, token) = (metrics.service("crm"), metrics.token("crm"));
        use_all(&service, &token, "GET");
        metrics.remove_token("crm");
        token.request_finished("", Duration::ZERO);
        token.state_written(false);
        let text = text(&registry);
        assert!(!text.contains("sidekey_token_") && !text.contains("sidekey_state_"), "{text}");
        assert!(text.contains(r#"sidekey_requests_in_flight{service="crm"} 1"#), "{text}");
    }

    #[test]
    fn totals_sum_by_class_and_reason() {
        let service = Metrics::new(&Registry::new()).unwrap().service("billing");
        for (method, status) in [("GET", 200), ("POST", 201), ("GET", 502)] {
            service.begin();
            service.end(MethodLabel::of(method), Some(status), Duration::from_millis(10));
        }
        service.upstream_answered(401, Duration::ZERO);
        service.error("upstream_tls");
        service.error("forbidden");
        let totals = service.totals();
        let RequestTotals { classes, unauthorized, unreachable, duration_seconds, durations, own_errors } =
            totals;
        assert_eq!(own_errors, 1, "a 403 is no server error");
        assert_eq!((classes, unauthorized, unreachable), ([0, 2, 0, 0, 1], 1, [0, 1, 0, 0]));
        assert_eq!((durations, (duration_seconds * 1000.0).round()), (3, 30.0));
    }

    #[test]
    fn labels_are_closed_sets_whatever_the_request() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let service = metrics.service("billing");
        for method in ["GET", "BREW", "PROPFIND"] {
            service.begin();
            service.end(MethodLabel::of(method), Some(299), Duration::ZERO);
        }
        service.begin();
        service.end(MethodLabel::of("GET"), Some(999), Duration::ZERO);
        metrics.answered("", MethodLabel::OTHER, 404);
        metrics.answered("never configured", MethodLabel::OTHER, 404);
        let text = text(&registry);
        let requests: Vec<_> =
            text.lines().filter(|line| line.starts_with("sidekey_requests_total{")).collect();
        assert_eq!(
            requests,
            [
                r#"sidekey_requests_total{method="GET",service="billing",status_class="2xx"} 1"#,
                r#"sidekey_requests_total{method="GET",service="billing",status_class="5xx"} 1"#,
                r#"sidekey_requests_total{method="OTHER",service="",status_class="4xx"} 1"#,
                r#"sidekey_requests_total{method="OTHER",service="billing",status_class="2xx"} 2"#,
            ]
        );
        assert!(text.contains(r#"sidekey_requests_in_flight{service="billing"} 0"#));
    }
}
