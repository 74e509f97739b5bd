//! The admin listener: health and metrics for machines, a JSON API, and a status page that is made from it.
//!
//! `guard` says who may do what; `state` says what a service's state is and means; `history` keeps the last minutes;
//! `view` is what the API shows.

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
pub use access::Rules;
use history::Histories;
pub use metrics::service_states;

/// What the admin pages are made from.
pub struct State {
    /// The services.
    pub runtime: Arc<Runtime>,
    /// What `/metrics` shows.
    pub registry: Registry,
    /// What a reload is asked of.
    pub reloader: Reloader,
}

/// The admin pages.
pub struct Admin {
    runtime: Arc<Runtime>,
    registry: Registry,
    reloader: Reloader,
    rules: Arc<Rules>,
    histories: Arc<Histories>,
    started: SystemTime,
}

impl Admin {
    /// Pages over what runs, under the rules of `config`.
    pub fn new(config: &config::Admin, state: State) -> Self {
        let State { runtime, registry, reloader } = state;
        let (rules, histories) = (Arc::new(Rules::new(config)), Arc::new(Histories::default()));
        Self { runtime, registry, reloader, rules, histories, started: SystemTime::now() }
    }

    /// Who may do what, for a reload to change.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.clone()
    }

    /// The pages. Starts the task that samples the traffic, and so needs a tokio runtime.
    pub fn router(self) -> Router {
        tokio::spawn(self.histories.clone().run(self.runtime.clone()));
        let admin = Arc::new(self);
        Router::new()
            .merge(health::router())
            .merge(metrics::router())
            .merge(api::router(&admin))
            .merge(page::router(&admin))
            .with_state(admin)
            .layer(axum::middleware::map_response(harden))
    }
}

/// Whatever is answered: a browser runs only our own files, shows us in no frame, tells nobody, and keeps nothing.
const FIELDS: [(HeaderName, &str); 7] = [
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

async fn harden(mut response: Response) -> Response {
    for (name, value) in FIELDS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
