//! The documents of the API. They are made from the state at one moment, and nothing in them can hold a secret.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::history::{History, SAMPLE_INTERVAL, UpstreamStatus};
use super::status::{ServiceStatus, Severity, StatusInputs, TokenInputs};
use crate::oauth2::TokenStore;
use crate::refresh::RefreshStatus;
use crate::reload;
use crate::reload::ReloadError;
use crate::runtime::service::{RequestFailure, Service};

/// `GET /api/v1/services`.
#[derive(Serialize)]
pub(super) struct ServicesView {
    /// The time of this response. The page counts from it rather than from the clock of the browser.
    now: Timestamp,
    /// The version of Sidekey.
    version: &'static str,
    /// When the process started.
    started: Timestamp,
    /// The requests that require the admin token.
    access: AccessView,
    config: ConfigView,
    /// The number of services of each severity.
    counts: Counts,
    /// The services in the order of the configuration.
    services: Vec<ServiceView>,
}

/// The requests that require the admin token.
#[derive(Serialize)]
pub(super) struct AccessView {
    /// Whether reading requires it.
    pub(super) read_requires_token: bool,
    /// Whether changing something requires it; `null` if nothing can be changed at this address.
    pub(super) write_requires_token: Option<bool>,
}

/// The configuration in use.
#[derive(Serialize)]
struct ConfigView {
    /// When the configuration in use was read.
    loaded: Timestamp,
    /// Why the configuration on disk is not in use, if it cannot be used.
    failing: Option<FailingView>,
    /// Why certificate files on disk are not in use, if they cannot be used.
    certificates_failing: Option<FailingView>,
}

/// Files on disk that cannot be used, so that their previous content stays in use.
#[derive(Serialize)]
struct FailingView {
    /// Since when.
    since: Timestamp,
    /// What is wrong; no secret, possibly several lines.
    error: String,
}

impl ConfigView {
    fn of(status: &reload::ReloadStatus) -> Self {
        let view = |failing: &Option<reload::ReloadFailure>| {
            let failing = failing.as_ref();
            failing
                .map(|failing| FailingView { since: Timestamp(failing.since), error: failing.error.clone() })
        };
        Self {
            loaded: Timestamp(status.last_success),
            failing: view(&status.failing),
            certificates_failing: view(&status.certificates),
        }
    }
}

/// `POST /api/v1/reload`.
#[derive(Serialize)]
pub(super) struct ReloadView {
    /// Whether the configuration on disk is in use now.
    ok: bool,
    /// The outcome in plain words.
    message: String,
    /// Services that are new.
    added: Vec<String>,
    /// Services whose configuration changed.
    changed: Vec<String>,
    /// Services that were removed.
    removed: Vec<String>,
    /// Listeners, upstreams and others whose certificate files changed.
    certificates: Vec<String>,
    /// Keys whose change takes effect after a restart only.
    restart_required: Vec<&'static str>,
}

impl ReloadView {
    pub(super) fn of(outcome: Result<reload::ReloadReport, ReloadError>) -> Self {
        let (ok, report, error) = match outcome {
            Ok(report) => (true, report, None),
            Err(error) => (false, reload::ReloadReport::default(), Some(error.to_string())),
        };
        let mut message = match error {
            Some(error) => format!("Reload rejected, the configuration in use stays: {error}"),
            None if report.is_empty() => "Reloaded. Nothing has changed.".into(),
            None => format!(
                "Reloaded. Services: {} added, {} changed, {} removed.",
                report.added.len(),
                report.changed.len(),
                report.removed.len()
            ),
        };
        if !report.certificates.is_empty() {
            message.extend([" New certificates: ", &report.certificates.join(", "), "."]);
        }
        if !report.restart_required.is_empty() {
            let keys = report.restart_required.join(", ");
            message.extend([" Restart required for: ", &keys, "."]);
        }
        let reload::ReloadReport { added, changed, removed, certificates, restart_required, .. } = report;
        Self { ok, message, added, changed, removed, certificates, restart_required }
    }
}

/// `POST /api/v1/services/{name}/refresh`.
#[derive(Serialize)]
pub(super) struct RefreshView {
    /// Whether there is a new token.
    pub(super) ok: bool,
    /// The outcome in plain words.
    pub(super) message: String,
    /// The service after the refresh.
    pub(super) service: ServiceView,
}

/// The number of services of each severity.
#[derive(Serialize, Default)]
struct Counts {
    total: usize,
    error: usize,
    warning: usize,
    starting: usize,
    ok: usize,
}

impl ServicesView {
    pub(super) fn new(
        started: SystemTime,
        access: AccessView,
        reload: &reload::ReloadStatus,
        services: Vec<ServiceView>,
    ) -> Self {
        let config = ConfigView::of(reload);
        let mut counts = Counts { total: services.len(), ..Counts::default() };
        for service in &services {
            match service.severity {
                Severity::Error => counts.error += 1,
                Severity::Warning => counts.warning += 1,
                Severity::Starting => counts.starting += 1,
                Severity::Ok => counts.ok += 1,
            }
        }
        let version = env!("CARGO_PKG_VERSION");
        Self {
            now: Timestamp(SystemTime::now()),
            version,
            started: Timestamp(started),
            access,
            config,
            counts,
            services,
        }
    }
}

/// One service.
#[derive(Serialize)]
pub(super) struct ServiceView {
    /// The name in the configuration.
    name: String,
    /// The kind of credential: `type` in the configuration, such as `oauth2`.
    kind: &'static str,
    /// The URL that requests go to.
    upstream: String,
    /// Whether readiness ignores the service.
    optional: bool,
    /// Whether there is a usable credential right now, which `/readyz` checks.
    ready: bool,
    state: ServiceStatus,
    severity: Severity,
    /// The state in plain words.
    summary: String,
    /// What to do about it; empty if there is nothing to do.
    suggestions: Vec<&'static str>,
    /// The token; `null` for a static credential.
    token: Option<TokenView>,
    /// The last error, if there was no success since.
    last_error: Option<ErrorView>,
    traffic: TrafficView,
}

/// A service's current token, expired or not, and its refreshes.
#[derive(Serialize)]
struct TokenView {
    /// Where it comes from: `token_url` without its query, or `issuer`.
    endpoint: Option<String>,
    /// When it was issued; `null` before the first token.
    issued: Option<Timestamp>,
    /// When it expires.
    expires: Option<Timestamp>,
    /// Its lifetime when it was issued.
    lifetime_seconds: Option<f64>,
    /// When a token was last obtained.
    last_refresh: Option<Timestamp>,
    /// When the next token request is due.
    next_refresh: Option<Timestamp>,
    /// Token requests that failed since the last success.
    consecutive_failures: u32,
    /// When the first of them failed.
    failing_since: Option<Timestamp>,
}

/// The last error of a service.
#[derive(Serialize)]
struct ErrorView {
    source: Source,
    /// For the token endpoint, the `reason` of `sidekey_token_requests_total`; for the upstream, the `Sidekey-Error`, or
    /// `unauthorized` for a 401.
    reason: &'static str,
    /// The error in plain words.
    message: String,
    /// When it occurred, if known.
    at: Option<Timestamp>,
}

/// Where an error came from.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    TokenEndpoint,
    Upstream,
}

/// The traffic of the last ten minutes, oldest first.
#[derive(Serialize)]
struct TrafficView {
    /// Requests in flight.
    in_flight: i64,
    /// The request rate over the last minute.
    requests_per_second: f64,
    /// The time between two samples.
    interval_seconds: u64,
    /// Requests in each sample.
    requests: Vec<u64>,
    /// Responses 5xx, and responses 401 of the upstream, in each sample.
    errors: Vec<u64>,
    /// The mean latency in each sample; `null` if it has no request.
    latency_ms: Vec<Option<f64>>,
}

impl ServiceView {
    pub(super) fn of(service: &Service, history: &History) -> Self {
        let store = service.credential.store();
        let status = store.map(|store| store.status());
        let upstream_status = history.upstream_status(&service.metrics.totals());
        let failure =
            service.last_failure.get().filter(|_| matches!(upstream_status, UpstreamStatus::Unreachable(_)));
        let inputs = StatusInputs {
            token: store.zip(status.as_ref()).map(|(store, status)| TokenInputs {
                usable: service.credential.is_ready(),
                issued: store.expiry().is_some(),
                last_error: status.last_error.clone(),
            }),
            upstream_status,
            cause: failure.as_ref().map(|failure| failure.cause.clone()),
        };
        let (state, severity) = (inputs.state(), inputs.severity());
        Self {
            name: service.name.clone(),
            kind: service.kind,
            upstream: service.upstream_url.clone(),
            optional: service.optional,
            ready: service.credential.is_ready(),
            state,
            severity,
            summary: inputs.summary(),
            suggestions: inputs.suggestion().into_iter().collect(),
            token: store
                .zip(status.as_ref())
                .map(|(store, status)| TokenView::of(service.token_endpoint.clone(), store, status)),
            last_error: ErrorView::of(state, status, failure),
            traffic: TrafficView::of(service, history),
        }
    }
}

impl TokenView {
    fn of(endpoint: Option<String>, store: &TokenStore, status: &RefreshStatus) -> Self {
        let expiry = store.expiry();
        Self {
            endpoint,
            issued: expiry.map(|expiry| Timestamp(expiry.wall() - expiry.lifetime())),
            expires: expiry.map(|expiry| Timestamp(expiry.wall())),
            lifetime_seconds: expiry.map(|expiry| expiry.lifetime().as_secs_f64()),
            last_refresh: status.last_success.map(Timestamp),
            next_refresh: status.next_attempt_wall().map(Timestamp),
            consecutive_failures: status.failures,
            failing_since: status.failing_since.map(Timestamp),
        }
    }
}

impl ErrorView {
    fn of(
        state: ServiceStatus,
        status: Option<RefreshStatus>,
        failure: Option<RequestFailure>,
    ) -> Option<Self> {
        if let (ServiceStatus::Unreachable, Some(failure)) = (state, failure) {
            let RequestFailure { at, reason, cause } = failure;
            return Some(Self { source: Source::Upstream, reason, message: cause, at: Some(Timestamp(at)) });
        }
        if state == ServiceStatus::Unauthorized {
            let message = "the upstream answered 401".into();
            return Some(Self { source: Source::Upstream, reason: "unauthorized", message, at: None });
        }
        let status = status?;
        let error = status.last_error?;
        let at = status.failing_since.map(Timestamp);
        Some(Self { source: Source::TokenEndpoint, reason: error.kind.as_str(), message: error.message, at })
    }
}

impl TrafficView {
    fn of(service: &Service, history: &History) -> Self {
        let milliseconds = |latency: std::time::Duration| (latency.as_secs_f64() * 1e5).round() / 1e2;
        Self {
            in_flight: service.metrics.in_flight(),
            requests_per_second: (history.rate() * 100.0).round() / 100.0,
            interval_seconds: SAMPLE_INTERVAL.as_secs(),
            requests: history.samples().map(|sample| sample.requests).collect(),
            errors: history.samples().map(|sample| sample.errors).collect(),
            latency_ms: history.samples().map(|sample| sample.latency.map(milliseconds)).collect(),
        }
    }
}

/// A point in time, written as RFC 3339 in UTC with milliseconds.
pub(super) struct Timestamp(pub(super) SystemTime);

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = DateTime::<Utc>::from(self.0).to_rfc3339_opts(SecondsFormat::Millis, true);
        serializer.serialize_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn timestamp_is_rfc_3339() {
        let shown = |time| serde_json::to_string(&Timestamp(time)).unwrap();
        assert_eq!(
            shown(UNIX_EPOCH + Duration::from_millis(1_709_210_096_789)),
            "\"2024-02-29T12:34:56.789Z\""
        );
    }
}
