//! The files of the status page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::admin::state::Admin;

const FILES: [(&str, &str, &str); 6] = [
    ("/", "text/html; charset=utf-8", include_str!("index.html")),
    ("/page/style.css", "text/css; charset=utf-8", include_str!("style.css")),
    ("/page/page.js", "text/javascript; charset=utf-8", include_str!("page.js")),
    ("/page/manage.js", "text/javascript; charset=utf-8", include_str!("manage.js")),
    // The runbook, of the version that runs.
    ("/page/operations.md", "text/plain; charset=utf-8", include_str!("../../../docs/OPERATIONS.md")),
    ("/page/icon.svg", "image/svg+xml", include_str!("icon.svg")),
];

pub(in crate::admin) fn router(admin: &Arc<Admin>) -> Router<Arc<Admin>> {
    let serve = |router: Router<Arc<Admin>>, (path, media_type, text): (_, &'static str, &'static str)| {
        router.route(path, get(move || async move { ([(CONTENT_TYPE, media_type)], text) }))
    };
    FILES.into_iter().fold(Router::new(), serve).layer(from_fn_with_state(admin.clone(), authorize))
}

/// Checks the host name. The files hold no state, but nothing is served under a foreign name.
async fn authorize(
    State(admin): State<Arc<Admin>>,
    head: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let allowed = admin.access.rules().page(&head);
    match allowed {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
