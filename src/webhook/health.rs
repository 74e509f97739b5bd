//! For the kubelet and for Prometheus: health, readiness and metrics, without TLS.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TextEncoder};

use super::certificate::serving::Serving;
use super::readiness::Readiness;

/// What is shown.
pub(super) struct Health {
    pub(super) registry: Registry,
    pub(super) serving: Arc<Serving>,
    pub(super) readiness: Arc<Readiness>,
}

/// The routes.
pub(super) fn router(health: Health) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(health))
}

/// The process is up.
async fn live() -> &'static str {
    "ok\n"
}

/// 200 if the API server can be answered.
async fn ready(State(health): State<Arc<Health>>) -> Response {
    let (status, text) = match health.readiness.problem(health.serving.is_valid(SystemTime::now())) {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {problem}\n")),
    };
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    match TextEncoder::new().encode_to_string(&health.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!("metrics cannot be written: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
