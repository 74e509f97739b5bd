//! Shared set-up of the login tests.

use serde_json::json;

use crate::harness::{Login, MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey, SidekeyBuilder};

pub const KEY: &str = "a key of at least thirty-two characters";
pub const CODE_GRANT: &str =
    "grant_type: authorization_code, authorization_url: 'https://login.example.com/authorize?tenant=1'";

/// A Sidekey with `state` and one service, `api`, that needs a login; `grant` are further keys of its
/// credential.
pub fn serving(upstream: &MockUpstream, endpoint: &MockTokenEndpoint, grant: &str) -> SidekeyBuilder {
    let config = format!(
        "listen: 127.0.0.1:0
admin: 127.0.0.1:0
log: {{ level: debug, format: json }}
access_log: true
state: {{ dir: $DIR/state, key: {{ file: $DIR/key }} }}
services:
  api: {{ upstream: '{}', token_wait: 0s, readiness: always, auth: {{ type: oauth2, token_url: '{}', client_id: 'my app', {grant} }} }}
",
        upstream.url(),
        endpoint.url()
    );
    Sidekey::configured(&config).file("key", KEY)
}

/// A token response with this lifetime and a refresh token.
pub fn issued(seconds: u64, refresh_token: &str) -> MockTokenResponse {
    MockTokenResponse::issue_with(json!(seconds), json!({ "refresh_token": refresh_token, "scope": "read" }))
}

/// A complete login, with a browser that calls back with a code.
pub async fn log_in(sidekey: &Sidekey) {
    let mut login = Login::start(sidekey, &["api"]);
    let page = login.call_back(&[("code", "any-code")]).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(login.ended().await, 0, "{}", login.output());
}
