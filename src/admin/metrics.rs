//! `/metrics`, with the gauges of the services' state.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::TextEncoder;

use super::state::Admin;
use crate::config::InactiveService;
use crate::metrics::{ServiceState, ServiceStates, TokenState};
use crate::runtime::service::Service;
use crate::runtime::snapshot::{Listed, Runtime};

pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(admin): State<Arc<Admin>>, head: HeaderMap) -> Response {
    if let Err(problem) = admin.access.rules().metrics(&head) {
        return problem.into_response();
    }
    match TextEncoder::new().encode_to_string(&admin.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!("metrics cannot be written: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The gauges of the services' state, to be registered beside the other series.
pub fn service_states(runtime: Arc<Runtime>) -> ServiceStates {
    ServiceStates::new(move || {
        let snapshot = runtime.current();
        let problems = snapshot.problems_by_service();
        let of = |listed| {
            let state = match listed {
                Listed::Running(service) => state(service),
                Listed::Inactive(service) => state_of_inactive(service),
            };
            ServiceState { is_misconfigured: problems.contains_key(state.service.as_str()), ..state }
        };
        snapshot.listed().into_iter().map(of).collect()
    })
}

fn state_of_inactive(service: &InactiveService) -> ServiceState {
    ServiceState {
        service: service.name.clone(),
        kind: service.kind.unwrap_or_default().to_owned(),
        labels: service.labels.clone(),
        is_inactive: true,
        ..ServiceState::default()
    }
}

fn state(service: &Service) -> ServiceState {
    let token = service.credential.store().map(|store| {
        let status = store.status();
        TokenState {
            consecutive_failures: status.failures,
            expiry: store.expiry().map(|expiry| expiry.unix_seconds()),
            last_success: status.last_success_unix_seconds(),
            next_refresh: status.next_attempt_unix_seconds(),
            is_state_write_failing: store.is_at_risk(),
            clock_skew: store.server().clock_skew,
            certificate_end: store.server().certificate_end,
        }
    });
    ServiceState {
        service: service.name.clone(),
        kind: service.auth.kinds(),
        labels: service.labels.clone(),
        is_misconfigured: false,
        is_inactive: false,
        is_ready: service.credential.is_ready(),
        is_previous_in_use: service.credential.is_previous_in_use(),
        is_circuit_breaker_open: service.upstream.is_circuit_breaker_open(),
        idle_connections: service.upstream.idle_connections(),
        upstream_failures: service.upstream.consecutive_failures(),
        upstream_certificate_end: service.upstream.certificate_end(),
        provider: service.provider.clone(),
        token,
        caller_tokens: service
            .credential
            .caller_tokens()
            .map(|tokens| tokens.held().try_into().unwrap_or(u32::MAX)),
    }
}
