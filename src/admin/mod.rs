//! The admin listener: health and metrics. Reads state, changes none.

mod readiness;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TextEncoder};

use crate::metrics::Metrics;
use crate::runtime::Runtime;

/// What the admin pages are made from.
pub struct Admin {
    runtime: Arc<Runtime>,
    registry: Registry,
    metrics: Arc<Metrics>,
}

impl Admin {
    /// Pages over what runs; `registry` is what `/metrics` shows.
    pub fn new(runtime: Arc<Runtime>, registry: Registry, metrics: Arc<Metrics>) -> Self {
        Self { runtime, registry, metrics }
    }

    /// The pages.
    pub fn router(self) -> Router {
        Router::new()
            .route("/livez", get(live))
            .route("/healthz", get(live))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(Arc::new(self))
    }

    /// What changes by itself with time is set when it is asked for, so that it is never stale.
    fn refresh_gauges(&self) {
        for service in &self.runtime.current().services {
            self.metrics.credential_ready(&service.name).set(service.credential.is_ready().into());
            if let Some(store) = service.credential.store() {
                let status = store.status();
                let last_success = status.last_success_unix_seconds();
                self.metrics.token(&service.name).state(
                    status.failures,
                    store.expiry_unix_seconds(),
                    last_success,
                    status.next_attempt_unix_seconds(),
                );
            }
        }
    }
}

/// The process is up.
async fn live() -> &'static str {
    "ok\n"
}

/// Every service that is not optional has a usable credential; the body lists those that have none.
async fn ready(State(admin): State<Arc<Admin>>) -> Response {
    let snapshot = admin.runtime.current();
    let services = snapshot.services.iter().map(|service| readiness::State::of(service));
    let (ready, text) = readiness::readiness(services);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    admin.refresh_gauges();
    match TextEncoder::new().encode_to_string(&admin.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!("metrics cannot be written: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
