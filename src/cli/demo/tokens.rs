//! The demo's token endpoint: client credentials with HTTP Basic client authentication (RFC 6749 §4.4, §2.3.1).

use axum::extract::Form;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

/// `demo:demo-client-secret`
const CLIENT: &str = "Basic ZGVtbzpkZW1vLWNsaWVudC1zZWNyZXQ=";
/// Lifetime of a token in seconds: short, so that a refresh can be watched in `/metrics`.
const LIFETIME_SECONDS: u64 = 60;

pub(super) fn router() -> Router {
    Router::new().route("/oauth/v2/token", post(issue))
}

#[derive(Deserialize)]
struct Request {
    grant_type: String,
    scope: Option<String>,
}

async fn issue(headers: HeaderMap, Form(request): Form<Request>) -> (StatusCode, Json<Value>) {
    if headers.get(header::AUTHORIZATION).is_none_or(|value| value != CLIENT) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" })));
    }
    if request.grant_type != "client_credentials" {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "unsupported_grant_type" })));
    }
    let token = format!("demo-{:016x}", fastrand::u64(..));
    let scope = request.scope.unwrap_or_default();
    let answer = json!({ "token_type": "Bearer", "expires_in": LIFETIME_SECONDS, "access_token": token, "scope": scope });
    (StatusCode::OK, Json(answer))
}
