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
use super::peer::PeerAddress;
use super::phase::Entry;

/// How the requests of a connection are answered.
pub(super) struct Answers {
    pub(super) router: TowerToHyperService<Router>,
    pub(super) peer: PeerAddress,
    pub(super) limits: ServerLimits,
}

impl Answers {
    /// The response of the router, or 413.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        entry: Arc<Entry>,
    ) -> Result<Response<Body>, Infallible> {
        let (mut head, body) = request.into_parts();
        head.extensions.insert(self.peer);
        let response = match to_bytes(Body::new(body), self.limits.body_bytes).await {
            Ok(body) => {
                entry.answering();
                self.router.call(Request::from_parts(head, Body::from(body))).await?
            }
            Err(_) => (StatusCode::PAYLOAD_TOO_LARGE, [(header::CONNECTION, "close")]).into_response(),
        };
        entry.idle();
        Ok(response)
    }
}
