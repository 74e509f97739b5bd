//! The level of the log, which can be changed at run time.

use axum::Json;
use axum::body::Bytes;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;
use crate::logging;

/// A level of the log, or a filter.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogLevel {
    /// `off`, `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `warn,sidekey=debug`.
    #[schema(examples("debug"))]
    level: String,
}

/// Returns the level or filter of the log.
#[utoipa::path(
    get,
    path = "/api/v1/log-level",
    operation_id = "getLogLevel",
    responses(
        (status = 200, description = "The level in use.", body = LogLevel),
        (status = 503, description = "Logging was not started by Sidekey."),
    ),
)]
pub(super) async fn get() -> Result<Json<LogLevel>, Problem> {
    let level = logging::level().ok_or_else(no_log)?;
    Ok(Json(LogLevel { level }))
}

/// Changes the level or filter of the log until the process ends.
#[utoipa::path(
    put,
    path = "/api/v1/log-level",
    operation_id = "setLogLevel",
    request_body = LogLevel,
    responses(
        (status = 200, description = "The level in use from now on.", body = LogLevel),
        (status = 400, description = "The body is not a level."),
        (status = 503, description = "Logging was not started by Sidekey."),
    ),
)]
pub(super) async fn set(body: Bytes) -> Result<Json<LogLevel>, Problem> {
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
