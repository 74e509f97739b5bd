//! One service.

use std::cmp::Reverse;

use serde::Serialize;
use utoipa::ToSchema;

use super::timestamp::Timestamp;
use crate::admin::events::{Event, EventKind};
use crate::admin::history::{History, SAMPLE_INTERVAL, UpstreamStatus};
use crate::admin::readiness::ServiceReadiness;
use crate::admin::status::{ServiceStatus, Severity, StatusInputs, TokenInputs};
use crate::callers::CallerTotals;
use crate::config::{InactiveService, Labels};
use crate::credential::{explain_failure, value_server};
use crate::diagnose::{advice_on_401, advice_on_errors, advice_on_failure, warnings};
use crate::oauth2::caller_tokens::CallerTokens;
use crate::refresh::{AnyStore, Obtainer, RefreshStatus, SharingFacts, SourceError};
use crate::runtime::problem::ConfigProblem;
use crate::runtime::service::{RequestFailure, Service};

/// The limit on the callers that are listed.
const MAX_CALLERS: usize = 50;

/// One service.
#[derive(Serialize, ToSchema)]
#[schema(as = Service)]
pub(in crate::admin) struct ServiceView {
    /// The name in the configuration.
    pub(in crate::admin) name: String,
    /// The kind of credential: `type` in the configuration, such as `oauth2`; empty if it could not be read.
    kind: String,
    /// The URL that requests go to; empty if it could not be read.
    upstream: String,
    /// Whether `/readyz` depends on the service: `first`, `always` or `never`.
    readiness: &'static str,
    /// `labels` in the configuration.
    labels: Labels,
    /// Whether there is a usable credential right now and the next one is not in doubt, which `/readyz` checks.
    ready: bool,
    pub(in crate::admin) state: ServiceStatus,
    pub(in crate::admin) severity: Severity,
    /// The state in plain words.
    pub(in crate::admin) summary: String,
    /// What to do about it; empty if there is nothing to do.
    suggestions: Vec<String>,
    /// The section of the runbook (docs/OPERATIONS.md) about the state; `null` if it needs none.
    runbook: Option<&'static str>,
    /// When the certificate ends that the upstream presented last; `null` if none was seen.
    certificate_expires: Option<Timestamp>,
    /// The token; `null` for a static credential.
    token: Option<TokenView>,
    /// The token of each credential of a list; empty if `auth` is no list. `token` is then the one that is worst off.
    tokens: Vec<PartTokenView>,
    /// The tokens of callers; `null` if tokens are not requested with those of callers.
    caller_tokens: Option<CallerTokensView>,
    /// The last error, if there was no success since.
    last_error: Option<ErrorView>,
    /// The mistake in its settings on disk, with file and line, if there is one.
    config_error: Option<String>,
    traffic: TrafficView,
    /// What happened in the last hours, newest first.
    events: Vec<EventView>,
    /// Its callers since the start of the process, the latest first; empty without `callers`.
    callers: Vec<CallerView>,
}

/// The tokens that are requested with those of callers.
#[derive(Serialize, ToSchema)]
#[schema(as = CallerTokens)]
struct CallerTokensView {
    /// How many are held.
    held: usize,
    /// How many can be held.
    max: usize,
}

/// What happened to a service. What lasts or repeats is one event.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
struct EventView {
    kind: EventKind,
    /// What happened, in plain words.
    message: String,
    /// When it was first seen.
    first: Timestamp,
    /// When it was last seen.
    last: Timestamp,
    /// How often it began.
    count: u64,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let Event { kind, message, first, last, count } = event;
        Self { kind, message, first: Timestamp(first), last: Timestamp(last), count }
    }
}

/// A caller of a service.
#[derive(Serialize, ToSchema)]
#[schema(as = Caller)]
struct CallerView {
    /// The name in the configuration, or `anonymous`.
    name: String,
    /// Requests that were allowed.
    allowed: u64,
    /// Requests that were refused.
    refused: u64,
    /// When the last of them came.
    last: Timestamp,
}

/// A service's current token, expired or not, and its refreshes.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
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
    /// When the certificate ends that the token endpoint presented last; `null` if none was seen.
    certificate_expires: Option<Timestamp>,
    /// How far this machine's clock is ahead of the token endpoint's; `null` if it is not known.
    clock_skew_seconds: Option<f64>,
    /// The fleet that shares it; `null` if it is not shared.
    sharing: Option<SharingView>,
}

/// The token of one credential of a list.
#[derive(Serialize, ToSchema)]
#[schema(as = PartToken)]
struct PartTokenView {
    /// The kind of the credential.
    kind: &'static str,
    /// Its place in the list, counted from 0.
    place: usize,
    /// Whether it can be sent.
    usable: bool,
    token: TokenView,
    /// Why the last attempt to get one failed, if there was no success since.
    error: Option<String>,
}

impl PartTokenView {
    /// The tokens of a service's credentials; none if it has one credential.
    fn of(service: &Service) -> Vec<Self> {
        let parts = service.auth.parts();
        if parts.len() == 1 {
            return Vec::new();
        }
        let stores = service.credential.stores().into_iter();
        let view = |(place, store): (usize, &dyn AnyStore)| {
            let (part, status) = (parts.get(place)?, store.status());
            Some(Self {
                kind: part.kind(),
                place,
                usable: store.expiry().is_some_and(|expiry| !expiry.is_past()),
                error: status.last_error.as_ref().map(|error| error.message.clone()),
                token: TokenView::of(value_server(part), store, &status),
            })
        };
        stores.filter_map(view).collect()
    }
}

/// The fleet that shares a token.
#[derive(Serialize, ToSchema)]
#[schema(as = Sharing)]
struct SharingView {
    /// Processes that are connected to the shared store, this one included; `null` if it is not known.
    processes: Option<u64>,
    /// Who requested the token: `self`, `peer`, or `alone` if the shared store could not be used; `null` before the first token.
    refreshed_by: Option<&'static str>,
    /// The name of the other process, if it was one.
    refreshed_by_process: Option<String>,
    /// Since when the shared store cannot be used; `null` if it can.
    store_down_since: Option<Timestamp>,
    /// The beginning of the name of the record in the shared store.
    record: String,
}

impl SharingView {
    fn of(facts: SharingFacts) -> Self {
        let SharingFacts { by, members, down_since, record, .. } = facts;
        let refreshed_by = by.as_ref().map(Obtainer::as_str);
        let refreshed_by_process = match by {
            Some(Obtainer::Peer(process)) => Some(process),
            _ => None,
        };
        Self {
            processes: members,
            refreshed_by,
            refreshed_by_process,
            store_down_since: down_since.map(Timestamp),
            record,
        }
    }
}

/// The last error of a service.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
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
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ErrorSource)]
enum Source {
    TokenEndpoint,
    Upstream,
}

/// The traffic of the last ten minutes, oldest first, from the first request in them.
#[derive(Serialize, ToSchema)]
#[schema(as = Traffic)]
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
    pub(in crate::admin) fn of(
        service: &Service,
        history: &History,
        events: Vec<Event>,
        mut callers: Vec<CallerTotals>,
        problem: Option<&ConfigProblem>,
    ) -> Self {
        callers.sort_by_key(|caller| Reverse(caller.last));
        let store = service.credential.store();
        let status = store.map(AnyStore::status);
        let upstream_status = history.upstream_status(&service.metrics.totals());
        let failure =
            service.last_failure.get().filter(|_| matches!(upstream_status, UpstreamStatus::Unreachable(_)));
        let advice = |error: &SourceError| explain_failure(&service.auth, error);
        let upstream_advice = match (upstream_status, &failure) {
            (UpstreamStatus::Healthy, _) => Vec::new(),
            (UpstreamStatus::Unauthorized, _) => advice_on_401(&service.auth),
            (UpstreamStatus::Failing, _) => advice_on_errors(),
            (UpstreamStatus::Unreachable(_), Some(failure)) => {
                advice_on_failure(failure.reason, &failure.cause)
            }
            (UpstreamStatus::Unreachable(reason), None) => advice_on_failure(reason, ""),
        };
        let inputs = StatusInputs {
            token: store.zip(status.as_ref()).map(|(store, status)| TokenInputs {
                usable: service.credential.is_ready(),
                issued: store.expiry().is_some(),
                last_error: status.last_error.clone(),
                advice: status.last_error.as_ref().map(advice).unwrap_or_default(),
                risk: store.risk(),
            }),
            upstream_status,
            cause: failure.as_ref().map(|failure| failure.cause.clone()),
            upstream_advice,
            warnings: warnings(service),
            inactive: None,
            has_mistake: problem.is_some(),
        };
        let (state, severity) = (inputs.state(), inputs.severity());
        Self {
            name: service.name.clone(),
            kind: service.auth.kinds(),
            upstream: service.upstream_url.clone(),
            readiness: service.readiness.as_str(),
            labels: service.labels.clone(),
            ready: ServiceReadiness::of(service, false).is_ready,
            state,
            severity,
            summary: inputs.summary(),
            suggestions: inputs.suggestions(),
            runbook: inputs.runbook(),
            certificate_expires: service.upstream.certificate_end().and_then(Timestamp::of_unix),
            token: store
                .zip(status.as_ref())
                .map(|(store, status)| TokenView::of(service.token_endpoint.clone(), store, status)),
            tokens: PartTokenView::of(service),
            caller_tokens: service.credential.caller_tokens().map(|tokens| CallerTokensView::of(tokens)),
            last_error: ErrorView::of(state, status, failure),
            config_error: problem.map(|problem| problem.error.clone()),
            traffic: TrafficView::of(service.metrics.in_flight(), history),
            events: events.into_iter().map(EventView::from).collect(),
            callers: callers.into_iter().take(MAX_CALLERS).map(CallerView::of).collect(),
        }
    }

    /// The view of a service that does not run.
    pub(in crate::admin) fn inactive(
        service: &InactiveService,
        events: Vec<Event>,
        problem: Option<&ConfigProblem>,
    ) -> Self {
        let inputs = StatusInputs {
            token: None,
            upstream_status: UpstreamStatus::Healthy,
            cause: None,
            upstream_advice: Vec::new(),
            warnings: Vec::new(),
            inactive: Some(service.reason),
            has_mistake: problem.is_some(),
        };
        Self {
            name: service.name.clone(),
            kind: service.kind.unwrap_or_default().to_owned(),
            upstream: service.place.upstreams.first().map(ToString::to_string).unwrap_or_default(),
            readiness: service.readiness.as_str(),
            labels: service.labels.clone(),
            ready: false,
            state: inputs.state(),
            severity: inputs.severity(),
            summary: inputs.summary(),
            suggestions: inputs.suggestions(),
            runbook: inputs.runbook(),
            certificate_expires: None,
            token: None,
            tokens: Vec::new(),
            caller_tokens: None,
            last_error: None,
            config_error: problem.map(|problem| problem.error.clone()),
            traffic: TrafficView::of(0, &History::default()),
            events: events.into_iter().map(EventView::from).collect(),
            callers: Vec::new(),
        }
    }
}

impl CallerTokensView {
    fn of(tokens: &CallerTokens) -> Self {
        Self { held: tokens.held(), max: tokens.max() }
    }
}

impl CallerView {
    fn of(totals: CallerTotals) -> Self {
        let CallerTotals { caller, allowed, refused, last } = totals;
        Self { name: caller, allowed, refused, last: Timestamp(last) }
    }
}

impl TokenView {
    fn of(endpoint: Option<String>, store: &dyn AnyStore, status: &RefreshStatus) -> Self {
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
            certificate_expires: store.server().certificate_end.and_then(Timestamp::of_unix),
            clock_skew_seconds: store.server().clock_skew,
            sharing: store.sharing().map(SharingView::of),
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
    fn of(in_flight: i64, history: &History) -> Self {
        let milliseconds = |latency: std::time::Duration| (latency.as_secs_f64() * 1e5).round() / 1e2;
        Self {
            in_flight,
            requests_per_second: (history.rate() * 100.0).round() / 100.0,
            interval_seconds: SAMPLE_INTERVAL.as_secs(),
            requests: history.samples().map(|sample| sample.requests).collect(),
            errors: history.samples().map(|sample| sample.errors).collect(),
            latency_ms: history.samples().map(|sample| sample.latency.map(milliseconds)).collect(),
        }
    }
}
