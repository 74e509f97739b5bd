//! `grant_type: refresh_token`.

use super::setup::{form, serving, with_refresh_token, without_refresh_token};
use crate::harness::{MockTokenEndpoint, MockTokenResponse, MockUpstream, TIMEOUT, assert_eventually};

const SEEDED: &str = "grant_type: refresh_token, refresh_token: { file: $DIR/seed }";

#[tokio::test]
async fn refresh_token_grant_starts_with_seed_and_follows_rotation() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(with_refresh_token(1, "rotated once"));
    endpoint.next(without_refresh_token(1));
    endpoint.next(with_refresh_token(1, "rotated twice"));
    let more = format!("{SEEDED}, client_id: me, scopes: [read]");
    let sidekey = serving(&upstream, &endpoint, &more).file("seed", "the+seed&\n").start_ready().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    endpoint.received(4).await;
    let requests = endpoint.requests();
    let tokens = ["the+seed&", "rotated once", "rotated once", "rotated twice"];
    for (request, token) in requests.iter().zip(tokens) {
        let expected = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("scope", "read"),
            ("client_id", "me"),
        ];
        assert_eq!(form(request), expected);
    }
}

#[tokio::test]
async fn refresh_token_grant_retries_rejected_token_with_back_off() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(MockTokenResponse::error(400, "invalid_grant"));
    let more = format!("{SEEDED}, client_id: me, client_secret: s3cret, auth_method: client_secret_post");
    let sidekey = serving(&upstream, &endpoint, &more).file("seed", "the-seed").start().await;
    assert_eventually(TIMEOUT, "it recovers", async || sidekey.is_ready().await).await;
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        assert_eq!(request.param("refresh_token"), Some("the-seed"));
    }
    assert!(!sidekey.log().contains("the-seed"));
}
