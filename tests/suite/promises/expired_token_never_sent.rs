//! Promise 2: an expired token is never sent; a valid one is used while refreshing fails.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::{
    MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey, TIMEOUT, assert_eventually,
};
use crate::suite::oauth2::setup::{no_credential, service};

/// Sends requests during an outage that is longer than a token's lifetime, and after it. The upstream itself
/// knows which tokens are valid and answers 401 to any other.
async fn outage(fail: impl Fn(&MockTokenEndpoint)) {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    upstream.respond_with(endpoint.guard());
    endpoint.always(MockTokenResponse::issue(2));
    let config =
        service("api", &upstream, &endpoint, "token_request: { timeout: 1s },", "readiness: always,");
    let sidekey = Sidekey::serving(&config).start_ready().await;
    assert_eq!(sidekey.get("/api/").await.text(), "granted");
    fail(&endpoint);
    let failed =
        async || sidekey.metric("sidekey_token_requests_total", &[("result", "failure")]).await.is_some();
    assert_eventually(TIMEOUT, "a refresh fails", failed).await;

    let refused = async || {
        let response = sidekey.get("/api/").await;
        if response.status == 503 {
            assert!(no_credential(&response) <= 2, "a service with short-lived tokens retries soon");
            return true;
        }
        assert_eq!(response.text(), "granted");
        false
    };
    assert_eventually(TIMEOUT, "the token expires", refused).await;
    let asked = upstream.request_count();
    assert!(!sidekey.is_ready().await);
    no_credential(&sidekey.get("/api/").await);
    assert_eq!(upstream.request_count(), asked, "nothing was forwarded");
    let line =
        sidekey.logged_like("token expired and no new one could be obtained: requests get 503 (").await;
    let line = line["message"].as_str().unwrap();
    assert!(
        line.contains(" s now: the")
            || line.contains(" s now: cannot connect")
            || line.contains("has not finished"),
        "{line}"
    );

    let steps = sidekey.metric("sidekey_token_requests_total", &[("result", "failure")]).await;
    endpoint.come_up();
    let served = async || sidekey.get("/api/").await.status == 200;
    assert_eventually(TIMEOUT, "it is served again", served).await;
    // The attempt in progress when the endpoint recovered may have failed; the next one may not.
    let more = sidekey.metric("sidekey_token_requests_total", &[("result", "failure")]).await.unwrap()
        - steps.unwrap();
    assert!(more <= 1.0, "{more} more attempts failed");
    assert!(upstream.requests().iter().all(|request| request.header("authorization").is_some()));
}

#[tokio::test]
async fn outage_longer_than_token_is_503_until_recovery() {
    outage(MockTokenEndpoint::go_down).await;
}

#[tokio::test]
async fn hanging_token_endpoint_is_503_until_recovery() {
    outage(MockTokenEndpoint::stall).await;
}

#[tokio::test]
async fn hanging_token_request_is_abandoned_with_short_token() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(MockTokenResponse::issue(3));
    let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, "", "")).start_ready().await;
    endpoint.stall();
    let refused = async || sidekey.get("/api/").await.status == 503;
    assert_eventually(TIMEOUT, "the token expires", refused).await;
    endpoint.come_up();
    let served = async || sidekey.get("/api/").await.status == 200;
    assert_eventually(Duration::from_secs(6), "it is served again", served).await;
}

#[tokio::test]
async fn token_lifetime_counts_from_the_token_request() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let late = json!({ "access_token": "late", "expires_in": 20 });
    endpoint.next(MockResponse::json(&late).after(Duration::from_millis(1500)));
    let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, "", "")).start_ready().await;
    let asked = SystemTime::now() - endpoint.only_request().at.elapsed();
    let asked = asked.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let expiry = sidekey.metric("sidekey_token_expiry_timestamp_seconds", &[]).await.unwrap();
    assert!(expiry <= asked + 20.1, "{} s too late", expiry - asked - 20.0);
    assert!(expiry > asked + 10.0);
}

#[tokio::test]
async fn token_without_lifetime_gets_default_expires_in() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(MockTokenResponse::issue_with(Value::Null, json!({})));
    let config = service("api", &upstream, &endpoint, "default_expires_in: 3s,", "");
    let sidekey = Sidekey::serving(&config).start_ready().await;
    endpoint.received(2).await;
    let requests = endpoint.requests();
    assert!(
        requests[1].at - requests[0].at >= Duration::from_millis(1000),
        "not one token request per request"
    );
    let used = async || sidekey.get("/api/").await.status == 200;
    assert_eventually(TIMEOUT, "a token is used", used).await;
}
