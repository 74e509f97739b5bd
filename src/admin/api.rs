//! The JSON API, `/api/v1/…`. `openapi.json` describes it, and a test compares the two.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::actions;
use super::problem::Problem;
use super::state::Admin;
use super::view::{AccessView, ReloadView, ServiceView, ServicesView};
use crate::logging;
use crate::reload::ReloadError;

const OPENAPI: &str = include_str!("openapi.json");

/// Maximum size of a request body in bytes.
const MAX_BODY_SIZE: usize = 16 * 1024;

/// How long a request waits for a reload, which continues after that.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn router(admin: &Arc<Admin>) -> Router<Arc<Admin>> {
    Router::new()
        .route("/api/v1/openapi.json", get(openapi))
        .route("/api/v1/services", get(services))
        .route("/api/v1/services/{name}", get(service))
        .route("/api/v1/services/{name}/refresh", post(actions::refresh))
        .route("/api/v1/services/{name}/test", post(actions::test))
        .route("/api/v1/log-level", get(log_level).put(set_log_level))
        .route("/api/v1/reload", post(reload))
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

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn services(State(admin): State<Arc<Admin>>) -> Json<ServicesView> {
    let (read_requires_token, write_requires_token) = admin.access.rules().requirements();
    let snapshot = admin.runtime.current();
    let views =
        snapshot.services.iter().map(|service| ServiceView::of(service, &admin.histories.of(&service.name)));
    let access = AccessView { read_requires_token, write_requires_token };
    Json(ServicesView::new(admin.started, access, &admin.reloader.status(), views.collect()))
}

async fn service(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
) -> Result<Json<ServiceView>, Problem> {
    let service = admin.find_service(&name)?;
    Ok(Json(ServiceView::of(&service, &admin.histories.of(&name))))
}

/// Reloads the configuration. If it is rejected, the request succeeds and says so.
async fn reload(State(admin): State<Arc<Admin>>) -> Result<Json<ReloadView>, Problem> {
    let outcome = tokio::time::timeout(RELOAD_TIMEOUT, admin.reloader.reload_now()).await.map_err(|_| {
        let detail = "The reload did not end in time; GET /api/v1/services will show its outcome.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    match outcome {
        Err(ReloadError::Stopping) => {
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Sidekey is stopping."))
        }
        outcome => Ok(Json(ReloadView::of(outcome))),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogLevel {
    level: String,
}

async fn log_level() -> Result<Json<LogLevel>, Problem> {
    let level = logging::level().ok_or_else(no_log)?;
    Ok(Json(LogLevel { level }))
}

async fn set_log_level(body: Bytes) -> Result<Json<LogLevel>, Problem> {
    let LogLevel { level } = serde_json::from_slice(&body).map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "The body is a JSON object such as {\"level\": \"debug\"}.")
    })?;
    let before = logging::level().ok_or_else(no_log)?;
    logging::set_level(&level)
        .map_err(|message| Problem::new(StatusCode::BAD_REQUEST, format!("`level`: {message}")))?;
    let level = logging::level().ok_or_else(no_log)?;
    // Logged at a level that both the old and the new filter are likely to pass.
    tracing::warn!(log.level = level, log.level_before = before, "log level changed through the admin API");
    Ok(Json(LogLevel { level }))
}

fn no_log() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Logging was not started by Sidekey.")
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
