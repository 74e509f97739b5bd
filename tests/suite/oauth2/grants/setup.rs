//! Shared set-up of the grant tests.

use serde_json::{Value, json};

use crate::harness::{
    MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey, SidekeyBuilder, TokenRequest,
};

/// A Sidekey with one service, `api`, whose credential has these further keys.
pub fn serving(upstream: &MockUpstream, endpoint: &MockTokenEndpoint, grant: &str) -> SidekeyBuilder {
    Sidekey::serving(&format!(
        "api: {{ upstream: '{}', token_wait: 1s, readiness: always, auth: {{ type: oauth2, token_url: '{}', {grant} }} }}",
        upstream.url(),
        endpoint.url()
    ))
}

/// A token response with this lifetime and a refresh token.
pub fn with_refresh_token(seconds: u64, refresh_token: &str) -> MockTokenResponse {
    MockTokenResponse::issue_with(json!(seconds), json!({ "refresh_token": refresh_token }))
}

/// A token response with this lifetime and no refresh token.
pub fn without_refresh_token(seconds: u64) -> MockTokenResponse {
    MockTokenResponse::issue_with(json!(seconds), Value::Null)
}

pub fn form(request: &TokenRequest) -> Vec<(&str, &str)> {
    request.form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
