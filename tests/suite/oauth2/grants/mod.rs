//! Token requests of each grant on the wire, and the use of their responses.

mod jwt_bearer;
mod password;
mod refresh_token;
mod token_exchange;

use serde_json::{Value, json};

use crate::harness::{Sidekey, SidekeyBuilder, TokenAnswer, TokenEndpoint, TokenRequest, Upstream};

/// A Sidekey with one service, `api`, whose credential has these further keys.
fn serving(upstream: &Upstream, endpoint: &TokenEndpoint, grant: &str) -> SidekeyBuilder {
    Sidekey::serving(&format!(
        "api: {{ upstream: '{}', token_wait: 1s, auth: {{ type: oauth2, token_url: '{}', {grant} }} }}",
        upstream.url(),
        endpoint.url()
    ))
}

/// A token response with this lifetime and a refresh token.
fn with_refresh_token(seconds: u64, refresh_token: &str) -> TokenAnswer {
    TokenAnswer::issue_saying(json!(seconds), json!({ "refresh_token": refresh_token }))
}

/// A token response with this lifetime and no refresh token.
fn without_refresh_token(seconds: u64) -> TokenAnswer {
    TokenAnswer::issue_saying(json!(seconds), Value::Null)
}

fn form(request: &TokenRequest) -> Vec<(&str, &str)> {
    request.form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
