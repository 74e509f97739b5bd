//! The admin listener: health and metrics for machines, a JSON API, and a status page that is made from it.
//!
//! ```text
//! access     who may read and change what
//! page       the status page
//! api        the JSON API
//! actions    what the API does with one service
//! view       the documents of the API
//! status     a service's state, its severity, and what to do about it
//! history    the last minutes of traffic
//! health     alive, ready
//! readiness  the rule of ready
//! metrics    /metrics
//! problem    error responses
//! ```

mod access;
mod actions;
mod api;
mod health;
mod history;
mod metrics;
mod page;
mod problem;
mod readiness;
mod status;
mod view;

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::response::Response;
use prometheus::Registry;

use crate::config;
use crate::reload::Reloader;
use crate::runtime::snapshot::Runtime;
pub use access::AccessPolicy;
use history::Histories;
pub use metrics::service_states;

/// The admin API and the status page, over what runs.
pub struct Admin {
    runtime: Arc<Runtime>,
    registry: Registry,
    reloader: Reloader,
    access: Arc<AccessPolicy>,
    histories: Arc<Histories>,
    started: SystemTime,
}

impl Admin {
    /// An admin API for the services of `runtime`, under the access rules of `config`. `/metrics` shows `registry`, and a reload
    /// is requested from `reloader`.
    pub fn new(
        config: &config::Admin,
        runtime: Arc<Runtime>,
        registry: Registry,
        reloader: Reloader,
    ) -> Self {
        let (access, histories) = (Arc::new(AccessPolicy::new(config)), Arc::new(Histories::default()));
        Self { runtime, registry, reloader, access, histories, started: SystemTime::now() }
    }

    /// The access policy, which a reload may change.
    pub fn access(&self) -> Arc<AccessPolicy> {
        self.access.clone()
    }

    /// The routes. Starts the task that samples the traffic, which needs a tokio runtime.
    pub fn router(self) -> Router {
        tokio::spawn(self.histories.clone().run(self.runtime.clone()));
        let admin = Arc::new(self);
        Router::new()
            .merge(health::router())
            .merge(metrics::router())
            .merge(api::router(&admin))
            .merge(page::router(&admin))
            .with_state(admin)
            .layer(axum::middleware::map_response(security_headers))
    }
}

/// Header fields of every response: a browser runs only the page's own files, shows them in no frame, sends no `Referer` and
/// caches nothing.
const SECURITY_HEADERS: [(HeaderName, &str); 7] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

async fn security_headers(mut response: Response) -> Response {
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
