//! `POST /quit`: ends the process. For the sidecar of a Job where Kubernetes does not end it by itself.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::problem::Problem;
use super::state::Admin;
use crate::net::http_server::PeerAddress;

pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route("/quit", post(quit))
}

/// Lets requests in flight finish, and ends the process with success. Not found unless the process was started with
/// `--allow-quit`.
async fn quit(
    State(admin): State<Arc<Admin>>,
    Extension(PeerAddress(peer)): Extension<PeerAddress>,
    head: HeaderMap,
) -> Response {
    let Some(end) = admin.quit() else {
        let detail = "Sidekey ends by a signal only: it was not started with `--allow-quit`.";
        return Problem::new(StatusCode::NOT_FOUND, detail).into_response();
    };
    if let Err(problem) = admin.access.rules().quit(&head, peer) {
        return problem.into_response();
    }
    end.notify_one();
    (StatusCode::ACCEPTED, "draining\n").into_response()
}
