//! The status page: files of our own, served as they are. The page makes itself of what the API says.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Admin;

const FILES: [(&str, &str, &str); 4] = [
    ("/", "text/html; charset=utf-8", include_str!("index.html")),
    ("/page/style.css", "text/css; charset=utf-8", include_str!("style.css")),
    ("/page/page.js", "text/javascript; charset=utf-8", include_str!("page.js")),
    ("/page/icon.svg", "image/svg+xml", include_str!("icon.svg")),
];

pub(super) fn router(admin: &Arc<Admin>) -> Router<Arc<Admin>> {
    let serve = |router: Router<Arc<Admin>>, (path, media_type, text): (_, &'static str, &'static str)| {
        router.route(path, get(move || async move { ([(CONTENT_TYPE, media_type)], text) }))
    };
    FILES.into_iter().fold(Router::new(), serve).layer(from_fn_with_state(admin.clone(), guard))
}

/// The files hold no state; but under a name that is not ours nothing of ours answers.
async fn guard(State(admin): State<Arc<Admin>>, head: HeaderMap, request: Request, next: Next) -> Response {
    let allowed = admin.rules.now().page(&head);
    match allowed {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
