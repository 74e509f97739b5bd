//! The secrets of grants: passwords, refresh tokens, subject tokens, and the secrets of a login. The
//! endpoints echo whatever they received.

use std::fmt::Write as _;

use serde_json::json;

use super::{Canary, assert_none_in, everything_shown};
use crate::harness::{Login, MockTokenEndpoint, MockTokenResponse, Sidekey, TIMEOUT, assert_eventually};

/// An error response that repeats the canary.
fn echo(canary: &Canary) -> MockTokenResponse {
    MockTokenResponse::json(
        &json!({ "error": "invalid_grant", "error_description": format!("you sent {}", canary.value) }),
    )
}

#[tokio::test]
async fn grant_secrets_echoed_by_endpoint_are_not_shown() {
    let grants = [
        (
            "password",
            "grant_type: password, username: alice, password: { file: $DIR/password }, client_id: me",
        ),
        ("seed", "grant_type: refresh_token, refresh_token: { file: $DIR/seed }, client_id: me"),
        ("subject", "grant_type: token_exchange, subject_token: { file: $DIR/subject }"),
    ];
    let (mut config, mut endpoints, mut canaries) = (String::new(), Vec::new(), Vec::new());
    for (name, grant) in grants {
        let (endpoint, canary) = (MockTokenEndpoint::plain().await, Canary::new(name));
        endpoint.always(echo(&canary));
        writeln!(
            config,
            "{name}: {{ upstream: 'http://127.0.0.1:9', token_wait: 0s, auth: {{ type: oauth2, token_url: '{}', {grant} }} }}",
            endpoint.url()
        )
        .unwrap();
        endpoints.push(endpoint);
        canaries.push(canary);
    }
    let mut builder = Sidekey::serving(&config).env("RUST_LOG", "trace");
    for canary in &canaries {
        builder = builder.file(&canary.place, &canary.value);
    }
    let sidekey = builder.start().await;
    for (endpoint, canary) in endpoints.iter().zip(&canaries) {
        endpoint.received(1).await;
        assert!(endpoint.requests()[0].form.iter().any(|(_, value)| *value == canary.value), "it was sent");
    }
    let refused = async || sidekey.log().matches("with error invalid_grant").count() >= grants.len();
    assert_eventually(TIMEOUT, "every rejection is logged", refused).await;
    for (what, text) in everything_shown(&sidekey).await {
        assert_none_in(&what, &text, &canaries);
    }
}

#[tokio::test]
async fn login_secrets_are_not_shown() {
    let endpoint = MockTokenEndpoint::plain().await;
    let [code, refresh_token, token] = ["the code", "the refresh token", "the token"].map(Canary::new);
    let sidekey = Sidekey::configured(&format!(
        "listen: 127.0.0.1:0
admin: 127.0.0.1:0
log: {{ format: json }}
state: {{ dir: $DIR/state, key: a key of at least thirty-two characters }}
services:
  api: {{ upstream: 'http://127.0.0.1:9', token_wait: 0s, auth: {{ type: oauth2, grant_type: authorization_code,
    authorization_url: 'https://login.example.com/auth', token_url: '{}', client_id: me }} }}
",
        endpoint.url()
    ))
    .env("RUST_LOG", "trace")
    .start()
    .await;
    endpoint.next(echo(&code));
    endpoint.next(MockTokenResponse::json(&json!({
        "access_token": token.value, "expires_in": 3600, "refresh_token": refresh_token.value,
        "scope": token.value,
    })));
    endpoint.always(echo(&refresh_token));
    let mut shown = String::new();
    for exit_code in [1, 0] {
        let mut login = Login::start(&sidekey, &["api"]);
        let page = login.call_back(&[("code", &code.value)]).await;
        assert_eq!(login.ended().await, exit_code, "{}", login.output());
        shown += &(String::from_utf8_lossy(&page.raw_head).into_owned() + &page.text() + &login.output());
    }
    endpoint.received(3).await;
    let sent = |index: usize, name: &str| endpoint.requests()[index].param(name).unwrap().to_owned();
    assert_eq!(
        (sent(1, "code"), sent(2, "refresh_token")),
        (code.value.clone(), refresh_token.value.clone())
    );
    let told = async || sidekey.log().contains("the login has ended");
    assert_eventually(TIMEOUT, "the rejection is logged", told).await;
    let canaries = [&code, &refresh_token, &token];
    assert_none_in("the login", &shown, canaries);
    for verifier in [sent(0, "code_verifier"), sent(1, "code_verifier")] {
        assert!(!shown.contains(&verifier) && !sidekey.log().contains(&verifier));
    }
    for (what, text) in everything_shown(&sidekey).await {
        assert_none_in(&what, &text, canaries);
    }
    for entry in std::fs::read_dir(sidekey.dir().join("state")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert_none_in("a state file", &String::from_utf8_lossy(&bytes), canaries);
    }
}
