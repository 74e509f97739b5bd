//! What the API shows of a service: documents made of its state at one moment. Nothing in them can hold a secret.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::history::{History, INTERVAL, Verdict};
use super::status::{Facts, Severity, State, TokenFacts};
use crate::oauth2::TokenStore;
use crate::refresh::RefreshStatus;
use crate::reload;
use crate::reload::ReloadError;
use crate::runtime::service::{RequestFailure, Service};

/// `GET /api/v1/services`.
#[derive(Serialize)]
pub(super) struct ServicesView {
    /// When this was made: what the page counts its times from, whatever the clock of the browser says.
    now: Timestamp,
    version: &'static str,
    started: Timestamp,
    /// What a request must bring.
    access: AccessView,
    config: ConfigView,
    /// How many there are of each severity.
    counts: Counts,
    services: Vec<ServiceView>,
}

/// What needs the admin token.
#[derive(Serialize)]
pub(super) struct AccessView {
    pub(super) reading_needs_token: bool,
    /// `null` where nothing can be changed at this address.
    pub(super) changing_needs_token: Option<bool>,
}

/// The configuration in use.
#[derive(Serialize)]
struct ConfigView {
    loaded: Timestamp,
    failing: Option<FailingView>,
    /// Certificate files on disk are not what is in use.
    certificates_failing: Option<FailingView>,
}

/// What is on disk is not what is in use, because it cannot be used.
#[derive(Serialize)]
struct FailingView {
    since: Timestamp,
    error: String,
}

impl ConfigView {
    fn of(status: &reload::Status) -> Self {
        let view = |failing: &Option<reload::Failing>| {
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
    /// The configuration on disk is in use now.
    ok: bool,
    message: String,
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
    /// What has new certificates.
    certificates: Vec<String>,
    /// Keys whose change takes effect at the next start only.
    at_next_start: Vec<&'static str>,
}

impl ReloadView {
    pub(super) fn of(outcome: Result<reload::Report, ReloadError>) -> Self {
        let (ok, report, error) = match outcome {
            Ok(report) => (true, report, None),
            Err(error) => (false, reload::Report::default(), Some(error.to_string())),
        };
        let mut message = match error {
            Some(error) => format!("Not reloaded, what runs stays as it is: {error}"),
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
        if !report.at_next_start.is_empty() {
            let later = report.at_next_start.join(", ");
            message.extend([" At the next start only: ", &later, "."]);
        }
        let reload::Report { added, changed, removed, certificates, at_next_start, .. } = report;
        Self { ok, message, added, changed, removed, certificates, at_next_start }
    }
}

/// `POST /api/v1/services/{name}/refresh`.
#[derive(Serialize)]
pub(super) struct RefreshView {
    /// There is a new token.
    pub(super) ok: bool,
    pub(super) message: String,
    /// As it is after that.
    pub(super) service: ServiceView,
}

#[derive(Serialize, Default)]
struct Counts {
    total: usize,
    broken: usize,
    warning: usize,
    waiting: usize,
    ok: usize,
}

impl ServicesView {
    pub(super) fn new(
        started: SystemTime,
        access: AccessView,
        reload: &reload::Status,
        services: Vec<ServiceView>,
    ) -> Self {
        let config = ConfigView::of(reload);
        let mut counts = Counts { total: services.len(), ..Counts::default() };
        for service in &services {
            match service.severity {
                Severity::Broken => counts.broken += 1,
                Severity::Warning => counts.warning += 1,
                Severity::Waiting => counts.waiting += 1,
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
    name: String,
    kind: &'static str,
    upstream: String,
    optional: bool,
    /// There is a usable credential right now: what `/readyz` asks for.
    ready: bool,
    state: State,
    severity: Severity,
    summary: String,
    advice: Option<&'static str>,
    token: Option<TokenView>,
    last_error: Option<ErrorView>,
    traffic: TrafficView,
}

/// Times of its token; of the current one, whether it is still valid or not.
#[derive(Serialize)]
struct TokenView {
    /// `token_url` without its query, or `issuer`.
    endpoint: Option<String>,
    issued: Option<Timestamp>,
    expires: Option<Timestamp>,
    lifetime_seconds: Option<f64>,
    last_refresh: Option<Timestamp>,
    next_refresh: Option<Timestamp>,
    consecutive_failures: u32,
    failing_since: Option<Timestamp>,
}

/// What last went wrong and has not gone right since.
#[derive(Serialize)]
struct ErrorView {
    source: Source,
    /// Of a token request: the `reason` of `sidekey_token_requests_total`. Of a request: the `Sidekey-Error`.
    reason: &'static str,
    message: String,
    at: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    TokenEndpoint,
    Upstream,
}

/// The last ten minutes, the oldest first.
#[derive(Serialize)]
struct TrafficView {
    in_flight: i64,
    /// Over the last minute.
    requests_per_second: f64,
    interval_seconds: u64,
    requests: Vec<u64>,
    errors: Vec<u64>,
    /// Means, in milliseconds.
    latency_ms: Vec<Option<f64>>,
}

impl ServiceView {
    pub(super) fn of(service: &Service, history: &History) -> Self {
        let store = service.credential.store();
        let status = store.map(|store| store.status());
        let verdict = history.verdict(&service.metrics.totals());
        let failure = service.last_failure.get().filter(|_| matches!(verdict, Verdict::Unreachable(_)));
        let facts = Facts {
            token: store.zip(status.as_ref()).map(|(store, status)| TokenFacts {
                usable: service.credential.is_ready(),
                ever: store.expiry().is_some(),
                last_error: status.last_error.clone(),
            }),
            verdict,
            cause: failure.as_ref().map(|failure| failure.cause.clone()),
        };
        let (state, severity) = (facts.state(), facts.severity());
        Self {
            name: service.name.clone(),
            kind: service.kind,
            upstream: service.upstream_url.clone(),
            optional: service.optional,
            ready: service.credential.is_ready(),
            state,
            severity,
            summary: facts.summary(),
            advice: facts.advice(),
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
    fn of(state: State, status: Option<RefreshStatus>, failure: Option<RequestFailure>) -> Option<Self> {
        if let (State::Unreachable, Some(failure)) = (state, failure) {
            let RequestFailure { at, reason, cause } = failure;
            return Some(Self { source: Source::Upstream, reason, message: cause, at: Some(Timestamp(at)) });
        }
        if state == State::Rejected {
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
            interval_seconds: INTERVAL.as_secs(),
            requests: history.samples().map(|sample| sample.requests).collect(),
            errors: history.samples().map(|sample| sample.errors).collect(),
            latency_ms: history.samples().map(|sample| sample.latency.map(milliseconds)).collect(),
        }
    }
}

/// A moment, written as RFC 3339 in UTC with milliseconds.
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
    fn times_are_rfc_3339() {
        let shown = |time| serde_json::to_string(&Timestamp(time)).unwrap();
        assert_eq!(
            shown(UNIX_EPOCH + Duration::from_millis(1_709_210_096_789)),
            "\"2024-02-29T12:34:56.789Z\""
        );
    }
}
