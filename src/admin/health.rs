//! For machines: whether the process is alive, and whether it is ready.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::readiness::{self, ServiceReadiness};
use super::state::Admin;

pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route("/livez", get(live)).route("/healthz", get(live)).route("/readyz", get(ready))
}

/// The process is up.
async fn live() -> &'static str {
    "ok\n"
}

/// 200 if every service that readiness depends on has a usable credential. The body lists the services that have none.
async fn ready(State(admin): State<Arc<Admin>>, head: HeaderMap) -> Response {
    let snapshot = admin.runtime.current();
    let shown = ServiceReadiness::of_all(&snapshot, admin.was_ready.load(Ordering::Relaxed));
    let (ready, mut text) = readiness::readiness(shown);
    if ready {
        admin.was_ready.store(true, Ordering::Relaxed);
    }
    if admin.access.rules().metrics(&head).is_err() {
        // A probe has no token and needs the status alone.
        text.truncate(text.find('\n').map_or(0, |end| end + 1));
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}
