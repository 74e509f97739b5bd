//! The address that the API server calls.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state, map_response_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;

use super::readiness::Readiness;
use super::response::{Answer, document};
use super::review::{Malformed, Review};
use super::shape::Sidecar;
use super::verdict::{Verdict, never, verdict};
use crate::metrics::{ReviewOutcome, WebhookMetrics};
use crate::oauth2::sanitize;

/// The path of reviews.
const PATH: &str = "/inject";
/// A namespace whose pods run the cluster: they never get a sidecar.
const SYSTEM_NAMESPACE: &str = "kube-system";

/// What reviews are answered with.
pub(super) struct Reviewer {
    /// How the sidecars are to be.
    pub(super) sidecar: Arc<Sidecar>,
    /// The namespace of the webhook, whose pods never get a sidecar.
    pub(super) own_namespace: Option<String>,
    pub(super) metrics: WebhookMetrics,
    pub(super) readiness: Arc<Readiness>,
}

/// The routes. Everything other than a review is not found.
pub(super) fn router(reviewer: Arc<Reviewer>) -> Router {
    let timed = from_fn_with_state(reviewer.clone(), timed);
    let closing = map_response_with_state(reviewer.clone(), close_when_stopping);
    Router::new().route(PATH, post(review).route_layer(timed)).layer(closing).with_state(reviewer)
}

/// Records how long the API server waits, with the body of its request.
async fn timed(State(reviewer): State<Arc<Reviewer>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let response = next.run(request).await;
    reviewer.metrics.review_took(start.elapsed());
    response
}

/// Has the API server open a new connection, to another replica, while this one shuts down.
async fn close_when_stopping(State(reviewer): State<Arc<Reviewer>>, mut response: Response) -> Response {
    if reviewer.readiness.is_stopping() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn review(State(reviewer): State<Arc<Reviewer>>, head: HeaderMap, body: Bytes) -> Response {
    let is_json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
    if !head.get(header::CONTENT_TYPE).is_some_and(is_json) {
        reviewer.metrics.reviewed(ReviewOutcome::Malformed);
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "sidekey: expected application/json\n").into_response();
    }
    match Review::read(&body) {
        Ok(review) => axum::Json(reviewer.answer(&review)).into_response(),
        Err(Malformed::NotAPod { uid, why }) => {
            tracing::debug!(error = why, "review rejected");
            reviewer.metrics.reviewed(ReviewOutcome::Malformed);
            axum::Json(document(&uid, &Answer::Denied(400, why), &[])).into_response()
        }
        Err(Malformed::NoReview(why)) => {
            tracing::debug!(error = why, "review rejected");
            reviewer.metrics.reviewed(ReviewOutcome::Malformed);
            (StatusCode::BAD_REQUEST, format!("sidekey: {why}\n")).into_response()
        }
    }
}

impl Reviewer {
    /// The response to a review. It has no effect but a count and a line in the log, so that a dry run needs
    /// no care.
    fn answer(&self, review: &Review) -> Value {
        let is_never =
            review.namespace == SYSTEM_NAMESPACE || self.own_namespace.as_ref() == Some(&review.namespace);
        let verdict = if is_never { never() } else { verdict(&review.pod, &self.sidecar.load()) };
        self.metrics.reviewed(verdict.outcome);
        log(review, &verdict);
        document(&review.uid, &verdict.answer, &verdict.warnings)
    }
}

fn log(review: &Review, verdict: &Verdict) {
    let (namespace, pod) = (sanitize(&review.namespace), name(&review.pod));
    match (&verdict.answer, verdict.outcome) {
        (Answer::Denied(_, message), _) => {
            let error = sanitize(message);
            tracing::warn!(k8s.namespace.name = namespace, k8s.pod.name = pod, error, "pod denied");
        }
        (_, ReviewOutcome::Injected) => {
            let is_dry_run = review.is_dry_run;
            tracing::info!(
                k8s.namespace.name = namespace,
                k8s.pod.name = pod,
                is_dry_run,
                "sidecar injected"
            );
        }
        (_, outcome) => {
            let outcome = outcome.as_str();
            tracing::debug!(k8s.namespace.name = namespace, k8s.pod.name = pod, outcome, "pod not changed");
        }
    }
}

/// The name of a pod, or how a name begins that is not given yet.
fn name(pod: &Value) -> String {
    let name = |key: &str| pod["metadata"][key].as_str();
    sanitize(name("name").or_else(|| name("generateName")).unwrap_or_default())
}
