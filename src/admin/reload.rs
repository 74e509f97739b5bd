//! The reload that the API requests.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::problem::Problem;
use super::state::Admin;
use super::view::ReloadView;
use crate::reload::ReloadError;

/// How long a request waits for a reload, which continues after that.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads the configuration and every file that it names, now.
///
/// A configuration that cannot be used changes nothing: the response is 200 with `ok: false` and every error.
#[utoipa::path(
    post,
    path = "/api/v1/reload",
    operation_id = "reload",
    responses(
        (status = 200, description = "The outcome.", body = ReloadView),
        (status = 503, description = "Sidekey is stopping, or the reload did not end in time."),
    ),
)]
pub(super) async fn reload(State(admin): State<Arc<Admin>>) -> Result<Json<ReloadView>, Problem> {
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
