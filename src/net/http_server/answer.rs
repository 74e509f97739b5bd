//! One request: its whole body first, within the limits, and then the router. A peer that sends its body
//! slowly therefore waits, and does not keep a handler busy.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::limits::ServerLimits;
use super::phase::Entry;

/// The response of the router, or 413.
pub(super) async fn answer(
    router: TowerToHyperService<Router>,
    request: Request<Incoming>,
    entry: Arc<Entry>,
    limits: ServerLimits,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let response = match to_bytes(Body::new(body), limits.body_bytes).await {
        Ok(body) => {
            entry.answering();
            router.call(Request::from_parts(head, Body::from(body))).await?
        }
        Err(_) => (StatusCode::PAYLOAD_TOO_LARGE, [(header::CONNECTION, "close")]).into_response(),
    };
    entry.idle();
    Ok(response)
}
