//! `retry_on_401`: the token is refreshed once, and the request is retried if all of it is still buffered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::setup::service;
use crate::harness::{
    Gate, MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, RefusingPort, Request, Sidekey,
    TIMEOUT, assert_eventually,
};

/// An upstream that accepts the endpoint's live tokens only, the endpoint, and a ready Sidekey.
async fn sidekey_with_guarded(auth: &str, more: &str) -> (MockUpstream, MockTokenEndpoint, Sidekey) {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    upstream.respond_with(endpoint.guard());
    let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, auth, more)).start_ready().await;
    (upstream, endpoint, sidekey)
}

/// Revokes all tokens, later than a `min_refresh_interval` of 1 ms after the last refresh.
async fn revoke(endpoint: &MockTokenEndpoint) {
    tokio::time::sleep(Duration::from_millis(5)).await;
    endpoint.revoke_all();
}

/// Number of requests with `Authorization: Bearer TOKEN`.
fn sent(upstream: &MockUpstream, token: &str) -> usize {
    let value = format!("Bearer {token}");
    upstream.requests().iter().filter(|request| request.header("authorization") == Some(&value)).count()
}

async fn replays(sidekey: &Sidekey, result: &str) -> Option<f64> {
    sidekey.metric("sidekey_upstream_retries_total", &[("reason", "unauthorized"), ("result", result)]).await
}

#[tokio::test]
async fn retry_on_401_replaces_revoked_token_transparently() {
    let (upstream, endpoint, sidekey) =
        sidekey_with_guarded("token_request: { min_interval: 1ms },", "").await;
    for method in ["GET", "DELETE"] {
        revoke(&endpoint).await;
        assert_eq!(Request::new(method, sidekey.url("/api/x?a=1")).send().await.text(), "granted");
    }
    for length in [0, 1, 1000, 20_000, 50_000] {
        revoke(&endpoint).await;
        let body = "x".repeat(length);
        let response = Request::new("POST", sidekey.url("/api/x")).body(body.clone()).send().await;
        assert_eq!(response.text(), "granted", "{length}");
        let requests = upstream.requests();
        for request in &requests[requests.len() - 2..] {
            assert_eq!((request.method.as_str(), request.body.len()), ("POST", length));
        }
    }
    assert_eq!(replays(&sidekey, "success").await, Some(7.0));
    assert_eq!(sidekey.metric("sidekey_upstream_unauthorized_total", &[]).await, Some(7.0));
    assert_eq!(endpoint.request_count(), 8);
}

#[tokio::test]
async fn retry_on_401_of_removed_service_restores_no_series() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let configuration = |name: &str| {
        let services = service(name, &upstream, &endpoint, "token_request: { min_interval: 1ms },", "");
        format!("reload: {{ interval: 0s }}\n{}", Sidekey::configuration_serving(&services))
    };
    let sidekey = Sidekey::configured(&configuration("api")).start_ready().await;
    // Longer than the shortest interval between two token requests.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let gate = Gate::closed();
    upstream.next(MockResponse::status(401));
    upstream.next(MockResponse::ok("granted").delayed_until(&gate));
    let mut caller = sidekey.connect().await;
    caller.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    upstream.received(2).await;
    assert!(sidekey.metrics().await.contains("service=\"api\""));
    sidekey.reconfigure(&configuration("other"));
    assert!(sidekey.reload().await);
    gate.open();
    assert_eq!(caller.response().await.text(), "granted");
    let metrics = sidekey.metrics().await;
    assert!(!metrics.contains("service=\"api\"") && metrics.contains("service=\"other\""), "{metrics}");
}

#[tokio::test]
async fn retry_on_401_works_with_failover() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    upstream.respond_with(endpoint.guard());
    let nobody = RefusingPort::new();
    let urls = format!("upstream: ['http://{}', '{}/base']", nobody.address, upstream.url());
    let one = format!("upstream: '{}'", upstream.url());
    let service = service("api", &upstream, &endpoint, "token_request: { min_interval: 1ms },", "")
        .replace(&one, &urls);
    let sidekey = Sidekey::serving(&service).start_ready().await;
    for number in 0..6 {
        revoke(&endpoint).await;
        let body = format!("body {number}");
        let response = Request::new("POST", sidekey.url("/api/x")).body(body.clone()).send().await;
        assert_eq!((response.status, response.text().as_str()), (200, "granted"), "{number}");
        let requests = upstream.requests();
        for request in &requests[requests.len() - 2..] {
            assert_eq!((request.target.as_str(), request.text()), ("/base/x", body.clone()));
        }
    }
    assert_eq!(replays(&sidekey, "success").await, Some(6.0));
}

#[tokio::test]
async fn retry_on_401_resends_chunked_and_delayed_bodies() {
    let (upstream, endpoint, sidekey) =
        sidekey_with_guarded("token_request: { min_interval: 1ms },", "").await;
    for (head, body) in [
        ("Content-Length: 5", "hello"),
        ("Transfer-Encoding: chunked", "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n"),
    ] {
        revoke(&endpoint).await;
        let mut connection = sidekey.connect().await;
        connection.send(&format!("PUT /api/x HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n")).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (first, rest) = body.split_at(4);
        connection.send(first).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        connection.send(rest).await;
        assert_eq!(connection.response().await.text(), "granted");
        let requests = upstream.requests();
        for request in &requests[requests.len() - 2..] {
            assert_eq!(request.body, b"hello");
        }
        // The next request on the same connection is read as a request.
        connection.send("GET /api/next HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(connection.response().await.text(), "granted");
    }
}

#[tokio::test]
async fn retry_on_401_of_1000_requests_is_one_token_request() {
    let (_upstream, endpoint, sidekey) = sidekey_with_guarded("", "").await;
    revoke(&endpoint).await;
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            let url = sidekey.url("/api/");
            tokio::spawn(async move { Request::get(url).send().await.text() })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "granted");
    }
    assert_eq!(endpoint.request_count(), 2);
}

#[tokio::test]
async fn retry_on_401_honours_min_refresh_interval() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    upstream.always(
        MockResponse::status(401).header("WWW-Authenticate", "Bearer error=\"invalid_token\"").body("no"),
    );
    let sidekey =
        Sidekey::serving(&service("api", &upstream, &endpoint, "token_request: { min_interval: 1h },", ""));
    let sidekey = sidekey.start_ready().await;
    for _ in 0..50 {
        let response = sidekey.get("/api/").await;
        assert_eq!((response.status, response.text().as_str()), (401, "no"));
        assert_eq!(response.sidekey_error(), None, "it is the upstream's response");
    }
    assert_eq!(endpoint.request_count(), 2);
    assert_eq!(upstream.request_count(), 51, "one retry, and then none");
    assert_eq!(replays(&sidekey, "unauthorized").await, Some(1.0));
}

#[tokio::test]
async fn retry_on_401_ignores_403_and_insufficient_scope() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, "", "")).start_ready().await;
    for (status, challenge) in [
        (403, "Bearer error=\"invalid_token\""),
        (401, "Bearer realm=\"x\", error=\"insufficient_scope\", scope=\"admin\""),
    ] {
        upstream.next(MockResponse::status(status).header("WWW-Authenticate", challenge).body("no"));
        let response = sidekey.get("/api/").await;
        assert_eq!((response.status, response.header("www-authenticate")), (status, Some(challenge)));
    }
    assert_eq!((upstream.request_count(), endpoint.request_count()), (2, 1));
}

#[tokio::test]
async fn retry_on_401_for_old_token_uses_the_current_one() {
    let (upstream, endpoint, sidekey) =
        sidekey_with_guarded("token_request: { min_interval: 1ms },", "").await;
    let gate = Gate::closed();
    upstream.next(MockResponse::status(401).delayed_until(&gate));
    let url = sidekey.url("/api/slow");
    let slow = tokio::spawn(async move { Request::get(url).send().await.text() });
    upstream.received(1).await;
    revoke(&endpoint).await;
    assert_eq!(sidekey.get("/api/").await.text(), "granted");
    assert_eq!(endpoint.request_count(), 2);
    gate.open();
    assert_eq!(slow.await.unwrap(), "granted");
    assert_eq!(endpoint.request_count(), 2, "the new token stays");
    assert_eq!(sent(&upstream, "tok-2"), 2);
}

#[tokio::test]
async fn retry_on_401_needs_a_body_that_fits_the_buffer() {
    let (upstream, endpoint, sidekey) =
        sidekey_with_guarded("token_request: { min_interval: 1ms },", "").await;
    revoke(&endpoint).await;
    let response = Request::new("POST", sidekey.url("/api/")).body("x".repeat(200_000)).send().await;
    assert_eq!(response.status, 401);
    endpoint.received(2).await;
    let granted = async || sidekey.get("/api/").await.status == 200;
    assert_eventually(TIMEOUT, "the next one has the new token", granted).await;

    revoke(&endpoint).await;
    upstream.next(MockResponse::status(401).early().close());
    let mut connection = sidekey.connect().await;
    connection
        .send("POST /api/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .await;
    assert_eq!(connection.response().await.status, 401);
    endpoint.received(3).await;
    assert_eq!(upstream.requests().iter().filter(|request| request.method == "POST").count(), 2, "each once");
}

#[tokio::test]
async fn retry_on_401_disabled_passes_401_and_refreshes() {
    let (upstream, endpoint, sidekey) = sidekey_with_guarded("", "retry_on_401: false,").await;
    revoke(&endpoint).await;
    assert_eq!(sidekey.get("/api/").await.status, 401);
    assert_eq!(upstream.request_count(), 1);
    endpoint.received(2).await;
    let granted = async || sidekey.get("/api/").await.status == 200;
    assert_eventually(TIMEOUT, "the next one has the new token", granted).await;
}

#[tokio::test]
async fn retry_on_401_passes_401_if_no_new_token_comes_in_time() {
    let (_upstream, endpoint, sidekey) = sidekey_with_guarded("", "token_wait: 200ms,").await;
    revoke(&endpoint).await;
    endpoint.stall();
    assert_eq!(sidekey.get("/api/").await.status, 401);
    endpoint.come_up();
    let (_upstream, endpoint, sidekey) = sidekey_with_guarded("", "").await;
    revoke(&endpoint).await;
    endpoint.go_down();
    assert_eq!(sidekey.get("/api/").await.status, 401, "immediately: the token request failed");
}

#[tokio::test]
async fn retry_on_401_discards_any_body_of_the_first_response() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let config = service("api", &upstream, &endpoint, "token_request: { min_interval: 1ms },", "");
    let sidekey = Sidekey::serving(&config).start_ready().await;
    let gate = Gate::closed();
    for refusal in [
        MockResponse::status(401).body("x".repeat(100_000)),
        MockResponse::status(401).body("abc").chunked(1),
        MockResponse::status(401).body("abc").until_closed(),
        MockResponse::status(401).body("never whole").body_held_at(3, &gate),
        MockResponse::status(401).body("cut").cut_at(1),
    ] {
        tokio::time::sleep(Duration::from_millis(5)).await;
        upstream.next(refusal);
        upstream.next(MockResponse::ok("good"));
        upstream.next(MockResponse::ok("next"));
        let mut connection = sidekey.connect().await;
        for expected in ["good", "next"] {
            connection.send("GET /api/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            assert_eq!(connection.response().await.text(), expected);
        }
    }
}

#[tokio::test]
async fn retry_on_401_does_not_apply_to_static_credentials() {
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::status(401).body("no"));
    let config = format!("mail: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}\n", upstream.url());
    let sidekey = Sidekey::serving(&config).start_ready().await;
    assert_eq!(sidekey.get("/mail/").await.status, 401);
    assert_eq!(upstream.request_count(), 1);
    assert_eq!(sidekey.metric("sidekey_upstream_unauthorized_total", &[]).await, Some(1.0));
}

#[tokio::test]
async fn expiry_with_1000_requests_in_flight_is_one_token_request() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(MockTokenResponse::issue(3));
    endpoint.always(MockTokenResponse::issue(3600));
    let gate = Gate::closed();
    upstream.always(MockResponse::ok("done").delayed_until(&gate));
    let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, "", "")).start_ready().await;
    let done = Arc::new(AtomicUsize::new(0));
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            let (url, done) = (sidekey.url("/api/"), done.clone());
            tokio::spawn(async move {
                assert_eq!(Request::get(url).send().await.text(), "done");
                done.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    endpoint.received(2).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    gate.open();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!((done.load(Ordering::Relaxed), endpoint.request_count()), (1000, 2));
}
