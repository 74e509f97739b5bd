//! The routes of the JSON API, `/api/v1/…`. Each handler describes itself; `openapi` makes one document of that.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::problem::Problem;
use super::state::Admin;
use super::{actions, changes, log_level, openapi, reload, services};

/// Maximum size of a request body in bytes.
const MAX_BODY_SIZE: usize = 16 * 1024;

pub(super) fn router(admin: &Arc<Admin>) -> Router<Arc<Admin>> {
    Router::new()
        .route("/api/v1/openapi.json", get(openapi::describe))
        .route("/api/v1/services", get(services::list).post(changes::handlers::add))
        .route("/api/v1/services/{name}", get(services::one).put(changes::handlers::edit))
        .route("/api/v1/services/{name}/definition", post(changes::handlers::definition))
        .route("/api/v1/services/{name}/enable", post(changes::handlers::enable))
        .route("/api/v1/services/{name}/disable", post(changes::handlers::disable))
        .route("/api/v1/services/{name}/remove", post(changes::handlers::remove))
        .route("/api/v1/presets", get(changes::presets::list))
        .route("/api/v1/services/{name}/refresh", post(actions::refresh))
        .route("/api/v1/services/{name}/test", post(actions::test))
        .route("/api/v1/log-level", get(log_level::get).put(log_level::set))
        .route("/api/v1/reload", post(reload::reload))
        .route("/api/{*rest}", axum::routing::any(not_found))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_SIZE))
        .layer(from_fn_with_state(admin.clone(), authorize))
}

/// Checks the access rules of every request, so that no route can omit it.
async fn authorize(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let rules = admin.access.rules();
    let allowed = if reads { rules.read(request.headers()) } else { rules.write(request.headers()) };
    drop(rules);
    match allowed {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is no such resource; GET /api/v1/openapi.json lists them.")
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "This path does not accept this method; GET /api/v1/openapi.json lists the methods.",
    )
}
