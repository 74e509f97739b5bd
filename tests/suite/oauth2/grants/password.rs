//! `grant_type: password`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use super::setup::{form, serving, with_refresh_token, without_refresh_token};
use crate::harness::{
    MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey, TIMEOUT, assert_eventually,
};

const OWNER: &str = "grant_type: password, username: 'alice@example.com', password: { file: $DIR/password }";
const PASSWORD: &str = "wonder land+&é";

#[tokio::test]
async fn password_grant_sends_credentials_in_the_form() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let more = format!("{OWNER}, client_id: me, client_secret: s3cret, scopes: [read, write]");
    let sidekey = serving(&upstream, &endpoint, &more).file("password", PASSWORD).start_ready().await;
    let request = endpoint.only_request();
    assert_eq!(request.basic().as_deref(), Some("me:s3cret"));
    let expected = [
        ("grant_type", "password"),
        ("username", "alice@example.com"),
        ("password", PASSWORD),
        ("scope", "read write"),
    ];
    assert_eq!(form(&request), expected);
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    assert_eq!(upstream.only_request().header("authorization"), Some("Bearer tok-1"));
}

#[tokio::test]
async fn password_grant_of_public_client_sends_client_id() {
    for method in ["", ", auth_method: none"] {
        let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
        let more = format!("{OWNER}, client_id: 'public app'{method}");
        let _sidekey = serving(&upstream, &endpoint, &more).file("password", "pw").start_ready().await;
        let request = endpoint.only_request();
        assert_eq!(request.authorization, None);
        let expected = [
            ("grant_type", "password"),
            ("username", "alice@example.com"),
            ("password", "pw"),
            ("client_id", "public app"),
        ];
        assert_eq!(form(&request), expected);
    }
}

#[tokio::test]
async fn password_grant_refreshes_with_the_latest_refresh_token() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(with_refresh_token(1, "first-refresh"));
    endpoint.next(without_refresh_token(1));
    endpoint.next(with_refresh_token(1, "second-refresh"));
    let more = format!("{OWNER}, client_id: me, client_secret: s3cret, scopes: [read]");
    let _sidekey = serving(&upstream, &endpoint, &more).file("password", PASSWORD).start_ready().await;
    endpoint.received(4).await;
    let requests = endpoint.requests();
    assert_eq!(requests[0].param("grant_type"), Some("password"));
    for (request, token) in requests[1..4].iter().zip(["first-refresh", "first-refresh", "second-refresh"]) {
        assert_eq!(form(request), [("grant_type", "refresh_token"), ("refresh_token", token)]);
        assert_eq!(request.basic().as_deref(), Some("me:s3cret"));
    }
}

#[tokio::test]
async fn password_grant_falls_back_if_refresh_token_is_rejected() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(with_refresh_token(3, "a-refresh-token"));
    endpoint.next(MockTokenResponse::html(502));
    endpoint.next(MockTokenResponse::error(400, "invalid_grant"));
    let more = format!("{OWNER}, client_id: me, client_secret: s3cret");
    let sidekey = serving(&upstream, &endpoint, &more).file("password", PASSWORD).start_ready().await;
    endpoint.received(4).await;
    let grants: Vec<_> =
        endpoint.requests().iter().map(|r| r.param("grant_type").unwrap().to_owned()).collect();
    assert_eq!(grants, ["password", "refresh_token", "refresh_token", "password"]);
    assert_eventually(TIMEOUT, "it is ready again", async || sidekey.is_ready().await).await;
    let (last, before) = (&endpoint.requests()[3], &endpoint.requests()[2]);
    assert!(last.at - before.at < Duration::from_secs(3), "immediately, without a back-off");
}

/// The `grant_type` of each token request.
fn grants(endpoint: &MockTokenEndpoint) -> Vec<String> {
    endpoint.requests().iter().map(|request| request.param("grant_type").unwrap().to_owned()).collect()
}

/// How providers refuse a refresh token: with other codes than the standard's, with a status, with nothing.
fn refusals() -> Vec<(&'static str, MockTokenResponse)> {
    let json = |status: u16, body: &str| -> MockTokenResponse {
        MockResponse::status(status).header("Content-Type", "application/json").body(body).into()
    };
    vec![
        ("invalid_grant", MockTokenResponse::error(400, "invalid_grant")),
        ("invalid_request", MockTokenResponse::error(400, "invalid_request")),
        ("invalid_token", MockTokenResponse::error(401, "invalid_token")),
        ("access_denied", MockTokenResponse::error(403, "access_denied")),
        ("unsupported", MockTokenResponse::error(400, "unsupported_grant_type")),
        ("own-code", MockTokenResponse::error(400, "refresh_token_expired")),
        ("upper-case", MockTokenResponse::error(400, "INVALID_GRANT")),
        ("object", json(400, r#"{"error":{"code":400,"message":"Token expired"}}"#)),
        ("no-error", json(400, r#"{"message":"refresh token not found"}"#)),
        ("under-200", json(200, r#"{"error":"bad_refresh_token"}"#)),
        ("no-token", json(200, r#"{"ok":false}"#)),
        ("empty-400", MockResponse::status(400).into()),
        ("empty-401", MockResponse::status(401).into()),
        ("empty-403", MockResponse::status(403).into()),
        ("gone", MockResponse::status(410).into()),
        ("page-400", MockTokenResponse::html(400)),
        ("page-401", MockTokenResponse::html(401)),
        ("challenge", MockResponse::status(401).header("WWW-Authenticate", "Bearer").into()),
    ]
}

#[tokio::test]
async fn password_grant_falls_back_after_any_refusal() {
    let upstream = MockUpstream::plain().await;
    let (mut config, mut endpoints) = (String::new(), Vec::new());
    for (name, refusal) in refusals() {
        let endpoint = MockTokenEndpoint::plain().await;
        endpoint.next(with_refresh_token(2, "a-refresh-token"));
        endpoint.next(refusal);
        writeln!(
            config,
            "{name}: {{ upstream: '{}', auth: {{ type: oauth2, token_url: '{}', client_id: me, \
             client_secret: s3cret, grant_type: password, username: alice, password: wonderland }} }}",
            upstream.url(),
            endpoint.url()
        )
        .unwrap();
        endpoints.push((name, endpoint));
    }
    let sidekey = Sidekey::serving(&config).start_ready().await;
    for (name, endpoint) in &endpoints {
        endpoint.received(3).await;
        assert_eq!(grants(endpoint), ["password", "refresh_token", "password"], "{name}");
    }
    sidekey.ready().await;
    for (name, endpoint) in &endpoints {
        assert_eq!(sidekey.get(&format!("/{name}/")).await.status, 200, "{name}");
        assert_eq!(upstream.last_request().header("authorization"), Some("Bearer tok-2"), "{name}");
        assert_eq!(endpoint.request_count(), 3, "{name}");
    }
}

#[tokio::test]
async fn password_grant_is_not_sent_after_other_failures() {
    for failure in [
        MockTokenResponse::error(401, "invalid_client"),
        MockTokenResponse::error(401, "unauthorized_client"),
        MockTokenResponse::error(400, "temporarily_unavailable"),
        MockTokenResponse::html(500),
        MockTokenResponse::retry_after("1"),
        MockResponse::close_unanswered().into(),
    ] {
        let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
        endpoint.next(with_refresh_token(2, "a-refresh-token"));
        endpoint.next(failure);
        let more = format!("{OWNER}, client_id: me, client_secret: s3cret");
        let _sidekey = serving(&upstream, &endpoint, &more).file("password", PASSWORD).start_ready().await;
        endpoint.received(3).await;
        assert_eq!(grants(&endpoint), ["password", "refresh_token", "refresh_token"]);
    }
}

#[tokio::test]
async fn rejected_refresh_token_is_not_sent_again() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(with_refresh_token(2, "a-refresh-token"));
    endpoint.next(MockResponse::status(400));
    endpoint.next(MockTokenResponse::html(503));
    let more = format!("{OWNER}, client_id: me, client_secret: s3cret");
    let _sidekey = serving(&upstream, &endpoint, &more).file("password", PASSWORD).start_ready().await;
    endpoint.received(4).await;
    assert_eq!(grants(&endpoint), ["password", "refresh_token", "password", "password"]);
}

/// Some servers fail, or blame the client, over a refresh token that they no longer have.
#[tokio::test]
async fn password_grant_falls_back_if_refreshes_keep_failing() {
    let failures =
        [MockResponse::status(500), MockResponse::status(502), MockResponse::status(503), invalid_client()];
    for failure in failures {
        let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
        let answer = json!({ "access_token": "tok", "expires_in": 2, "refresh_token": "a-refresh-token" });
        endpoint.server().respond_with(move |request| {
            let is_refresh = request.body.starts_with(b"grant_type=refresh_token");
            if is_refresh { failure.clone() } else { MockResponse::json(&answer) }
        });
        let more = format!("{OWNER}, client_id: me, client_secret: s3cret");
        let sidekey = serving(&upstream, &endpoint, &more).file("password", PASSWORD).start_ready().await;
        let passwords = || grants(&endpoint).iter().filter(|grant| *grant == "password").count();
        assert_eventually(TIMEOUT, "the password is sent again", async || passwords() > 1).await;
        assert_eventually(TIMEOUT, "it is ready again", async || sidekey.is_ready().await).await;
        assert_eq!(sidekey.get("/api/x").await.status, 200);
        assert_eq!(grants(&endpoint)[..2], ["password", "refresh_token"], "not at the first failure");
    }
}

#[tokio::test]
async fn refresh_token_is_kept_while_everything_fails() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let first = json!({ "access_token": "tok", "expires_in": 2, "refresh_token": "a-refresh-token" });
    endpoint.server().next(MockResponse::json(&first));
    let is_up = Arc::new(AtomicBool::new(false));
    endpoint.server().respond_with({
        let is_up = is_up.clone();
        move |request| {
            let is_refresh = request.body.ends_with(b"refresh_token=a-refresh-token");
            if is_refresh && is_up.load(Ordering::Relaxed) {
                MockResponse::json(&json!({ "access_token": "tok", "expires_in": 60 }))
            } else {
                MockResponse::status(500)
            }
        }
    });
    let more = format!("{OWNER}, client_id: me, client_secret: s3cret");
    let sidekey = serving(&upstream, &endpoint, &more).file("password", PASSWORD).start_ready().await;
    let passwords = || grants(&endpoint).iter().filter(|grant| *grant == "password").count();
    assert_eventually(TIMEOUT, "the password is sent again", async || passwords() > 1).await;
    is_up.store(true, Ordering::Relaxed);
    assert_eventually(TIMEOUT, "it is ready again", async || sidekey.is_ready().await).await;
}

fn invalid_client() -> MockResponse {
    MockResponse::status(401).header("Content-Type", "application/json").body(r#"{"error":"invalid_client"}"#)
}

/// A secret may be a part of any word: what it is a part of still decides.
#[tokio::test]
async fn error_code_decides_although_it_contains_the_secret() {
    let upstream = MockUpstream::plain().await;
    for secret in ["grant", "temp", "invalid_grant", "temporarily"] {
        let endpoint = MockTokenEndpoint::plain().await;
        endpoint.next(with_refresh_token(2, "a-refresh-token"));
        endpoint.next(MockTokenResponse::error(400, "temporarily_unavailable"));
        endpoint.next(MockTokenResponse::error(400, "invalid_grant"));
        let more = format!("{OWNER}, client_id: me, client_secret: {secret}");
        let sidekey = serving(&upstream, &endpoint, &more).file("password", PASSWORD).start_ready().await;
        endpoint.received(4).await;
        assert_eq!(grants(&endpoint), ["password", "refresh_token", "refresh_token", "password"], "{secret}");
        let failed = [("reason", "server_error")];
        assert_eq!(sidekey.metric("sidekey_token_requests_total", &failed).await, Some(1.0), "{secret}");
    }
}

#[tokio::test]
async fn password_grant_rejection_does_not_log_the_password() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let echo = serde_json::json!({ "error": "invalid_grant", "error_description": "wrong: hunter2" });
    endpoint.always(MockTokenResponse::json(&echo));
    let more = format!("{OWNER}, client_id: me");
    let sidekey = serving(&upstream, &endpoint, &more).file("password", "hunter2").start().await;
    endpoint.received(1).await;
    assert_eq!(sidekey.get("/api/x").await.status, 503);
    let refused = async || sidekey.log().contains("invalid_grant");
    assert_eventually(TIMEOUT, "the rejection is logged", refused).await;
    assert!(!sidekey.log().contains("hunter2"));
    assert_eq!(upstream.request_count(), 0);
}
