//! The routes of the admin listener, and the header fields of every response.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::response::Response;
use tokio::time::MissedTickBehavior;

use super::events::{INTERVAL, Observed};
use super::state::Admin;
use super::{api, health, metrics, page, quit};
use crate::runtime::service::Service;

/// The routes over `admin`. Starts the task that samples the traffic, which needs a tokio runtime.
pub fn router(admin: Admin) -> Router {
    tokio::spawn(admin.histories.clone().run(admin.runtime.clone()));
    let admin = Arc::new(admin);
    tokio::spawn(record_events(admin.clone()));
    Router::new()
        .merge(health::router())
        .merge(metrics::router())
        .merge(quit::router())
        .merge(api::router(&admin))
        .merge(page::router(&admin))
        .with_state(admin)
        .layer(axum::middleware::map_response(security_headers))
}

/// Compares the states of the services until the task is aborted.
async fn record_events(admin: Arc<Admin>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let snapshot = admin.runtime.current();
        let problems = snapshot.problems_by_service();
        let observed = |service: &Arc<Service>| {
            let problem = problems.get(service.name.as_str()).copied();
            let view = admin.view_running(service, &snapshot, problem);
            let (state, severity, summary) = (view.state, view.severity, view.summary);
            Observed { service: service.clone(), state, severity, summary }
        };
        let observed: Vec<_> = snapshot.services.iter().map(observed).collect();
        admin.events.compare(&observed, SystemTime::now());
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
