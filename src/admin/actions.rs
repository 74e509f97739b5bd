//! The actions on one service: request a new token now, and test its upstream.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::state::Admin;
use super::view::RefreshView;
use crate::config::UpstreamUrl;
use crate::diagnose;
use crate::diagnose::TestReport;
use crate::refresh::{AnyStore, Requested};
use crate::rules::{Decision, RequestView, path_at_upstream};
use crate::runtime::base_path::escapes_base_path;
use crate::runtime::service::Service;
use crate::upstream::WildcardUpstream;

/// How long a request waits for a token request, which continues after that.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a test waits for the first token.
const TOKEN_LIMIT: Duration = Duration::from_secs(15);

/// Requests a new token now, and waits for it.
///
/// Waits for the token request, 30 s at most. The response has `ok: false` if it failed, or if it was not made because the last one
/// was requested a moment ago (`token_request.min_interval`); the current token stays in use.
#[utoipa::path(
    post,
    path = "/api/v1/services/{name}/refresh",
    operation_id = "refreshService",
    params(("name" = String, Path, description = "The service's name in the configuration.")),
    responses(
        (status = 200, description = "The outcome.", body = RefreshView),
        (status = 404, description = "There is no service of that name."),
        (status = 409, description = "Its credential is static: there is nothing to refresh."),
    ),
)]
pub(super) async fn refresh(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
) -> Result<Json<RefreshView>, Problem> {
    let service = admin.find_service(&name)?;
    let store = service.credential.store().ok_or_else(|| {
        let detail = "There is nothing to refresh: the credential is static. A reload reads it again.";
        Problem::new(StatusCode::CONFLICT, detail)
    })?;
    tracing::info!(sidekey.service = name, "token refresh requested through the admin API");
    let (ok, message) = match store.request(REFRESH_TIMEOUT).await {
        Requested::New => (true, new_token_message(store)),
        Requested::Failed => (false, no_token_message(&service, store)),
        Requested::Throttled => {
            let interval = store.min_interval();
            let last = store.status().last_error.map(|error| format!(" The last error: {}.", error.message));
            let last = last.unwrap_or_default();
            (
                false,
                format!(
                    "Not requested again: the last refresh was requested less than {interval:?} ago.{last}"
                ),
            )
        }
    };
    Ok(Json(RefreshView { ok, message, service: admin.view(&service) }))
}

fn new_token_message(store: &dyn AnyStore) -> String {
    let lifetime = store.expiry().map_or(0.0, |expiry| expiry.lifetime().as_secs_f64());
    format!("There is a new token; it lives for {lifetime:.0} s.")
}

fn no_token_message(service: &Service, store: &dyn AnyStore) -> String {
    let status = store.status();
    let why = match status.last_error {
        Some(error) if !status.in_flight => error.message,
        _ => format!(
            "the token endpoint has not answered for {} s; Sidekey keeps waiting",
            REFRESH_TIMEOUT.as_secs()
        ),
    };
    let meanwhile =
        if service.credential.is_ready() { " The current token is used until it expires." } else { "" };
    format!("No new token: {why}.{meanwhile}")
}

/// What a test requests.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Test {
    /// The path to GET, below the path of `upstream`. A path that is known to work gives the clearest result. If `upstream` is a
    /// wildcard, the whole URL of one of its hosts.
    #[serde(default = "root")]
    #[schema(pattern = "^(/|https?://)[!-~]*$", default = "/")]
    path: String,
}

fn root() -> String {
    "/".into()
}

/// Calls the upstream once with the service's credential, as `sidekey test` does.
///
/// The call is one GET. If the upstream rejects it, the response has `ok: false`.
#[utoipa::path(
    post,
    path = "/api/v1/services/{name}/test",
    operation_id = "testService",
    params(("name" = String, Path, description = "The service's name in the configuration.")),
    request_body(content = inline(Test)),
    responses(
        (status = 200, description = "The outcome.", body = TestReport),
        (status = 400, description = "The body does not name a path below the service's `upstream`."),
        (status = 403, description = "The rules of the service deny the request."),
        (status = 404, description = "There is no service of that name."),
    ),
)]
pub(super) async fn test(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<TestReport>, Problem> {
    let service = admin.find_service(&name)?;
    let path = path(&body, &service)?;
    allowed_by_rules(&service, &path)?;
    tracing::info!(sidekey.service = name, "test requested through the admin API");
    Ok(Json(diagnose::test_service(&service, &path, TOKEN_LIMIT).await))
}

/// Rejects a path that the rules of the service deny to callers: a test has no more rights than they have.
fn allowed_by_rules(service: &Service, path: &str) -> Result<(), Problem> {
    let Some(rules) = &service.rules else { return Ok(()) };
    let wildcard = service.upstream.wildcard().map(WildcardUpstream::url);
    let below = wildcard.and_then(|url| Some(url.below(path)?.1));
    let path = below.unwrap_or(path);
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let base_path = service.upstream.endpoints().first().map(|endpoint| endpoint.base_path.as_str());
    let base_path = base_path.or(wildcard.map(|url| url.base_path.as_str())).unwrap_or_default();
    let path = path_at_upstream(base_path, path);
    let view = RequestView {
        method: "GET",
        is_websocket: false,
        path: &path,
        query,
        destination: None,
        field_names: std::iter::empty(),
    };
    match rules.decide(view) {
        Decision::Allowed(_) => Ok(()),
        Decision::Denied(denial) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!("The rules of the service deny this test, as they deny the request: {denial}."),
        )),
    }
}

/// The path to GET, which must stay below the path of `upstream`; for a wildcard, the URL of one of its hosts.
fn path(body: &[u8], service: &Service) -> Result<String, Problem> {
    read_path(body, service.upstream.wildcard().map(WildcardUpstream::url))
}

fn read_path(body: &[u8], wildcard: Option<&UpstreamUrl>) -> Result<String, Problem> {
    let wrong = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, detail);
    if body.is_empty() {
        return Ok(root());
    }
    let Test { path } = serde_json::from_slice(body)
        .map_err(|_| wrong("The body is a JSON object such as {\"path\": \"/contacts?limit=1\"}."))?;
    let below = wildcard.and_then(|url| Some(url.below(&path)?.1));
    check_path(below.unwrap_or(&path)).map_err(wrong)?;
    Ok(path)
}

/// Says what is wrong with a path to GET, if something is.
pub(super) fn check_path(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) || path.contains('#') {
        return Err(
            "`path` must begin with `/` and consist of visible ASCII without `#`; percent-encode anything else.",
        );
    }
    if escapes_base_path(path) {
        return Err("`path` leads out of the service's `upstream`: it must not escape with `..`.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_must_stay_below_upstream() {
        for (body, expected) in [
            ("", "/"),
            ("{}", "/"),
            (r#"{"path": "/a/../b?c=/../../d"}"#, "/a/../b?c=/../../d"),
            (r#"{"path": "/caf%C3%A9"}"#, "/caf%C3%A9"),
        ] {
            assert_eq!(read_path(body.as_bytes(), None).unwrap(), expected, "{body}");
        }
        for body in [
            "[",
            "null",
            r#"{"path": 5}"#,
            r#"{"path": null}"#,
            r#"{"path": "/", "method": "DELETE"}"#,
            r#"{"path": ""}"#,
            r#"{"path": "*"}"#,
            r#"{"path": "http://evil.example/"}"#,
            r#"{"path": "@evil.example/"}"#,
            r#"{"path": "/a b"}"#,
            r#"{"path": "/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"}"#,
            r#"{"path": "/\u0000"}"#,
            r#"{"path": "/é"}"#,
            r#"{"path": "/a#b"}"#,
            r#"{"path": "/../admin"}"#,
            r#"{"path": "/a/%2e%2E/%2E./admin"}"#,
            r#"{"path": "/..%2fadmin"}"#,
        ] {
            assert_eq!(
                read_path(body.as_bytes(), None).unwrap_err().status,
                StatusCode::BAD_REQUEST,
                "{body}"
            );
        }
    }
}
