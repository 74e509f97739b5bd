//! `grant_type: password`.

use std::time::Duration;

use super::setup::{form, serving, with_refresh_token, without_refresh_token};
use crate::harness::{MockTokenEndpoint, MockTokenResponse, MockUpstream, TIMEOUT, assert_eventually};

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
