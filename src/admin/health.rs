//! For machines: alive, ready, measured.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::TextEncoder;

use super::{Admin, readiness};

pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new()
        .route("/livez", get(live))
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

/// The process is up.
async fn live() -> &'static str {
    "ok\n"
}

/// Every service that is not optional has a usable credential; the body lists those that have none.
async fn ready(State(admin): State<Arc<Admin>>, head: HeaderMap) -> Response {
    let snapshot = admin.runtime.current();
    let shown = snapshot.services.iter().map(|service| readiness::State::of(service));
    let (ready, mut text) = readiness::readiness(shown);
    if admin.rules.now().metrics(&head).is_err() {
        // A probe has no token and needs the status alone.
        text.truncate(text.find('\n').map_or(0, |end| end + 1));
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}

async fn metrics(State(admin): State<Arc<Admin>>, head: HeaderMap) -> Response {
    if let Err(problem) = admin.rules.now().metrics(&head) {
        return problem.into_response();
    }
    admin.refresh_gauges();
    match TextEncoder::new().encode_to_string(&admin.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!("metrics cannot be written: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
