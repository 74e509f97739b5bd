//! Requests that find no usable token: they wait while one may come, and not a moment longer.

use std::time::{Duration, Instant};

use super::setup::{no_credential, service};
use crate::harness::{
    Gate, Http2, MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, Request, Sidekey, TIMEOUT,
    assert_eventually, get,
};

/// The wait of these tests: longer than a test may take.
const PATIENT: &str = "token_wait: 10m, readiness: always,";

#[tokio::test]
async fn request_does_not_wait_after_a_refused_token_request() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(MockTokenResponse::error(400, "invalid_client"));
    let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, "", PATIENT)).start().await;
    no_credential(&sidekey.get("/api/").await);
    no_credential(&sidekey.get("/api/").await);
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn request_does_not_wait_if_the_next_token_request_is_due_later() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(MockResponse::status(503).header("Retry-After", "258"));
    let config = service("api", &upstream, &endpoint, "", "token_wait: 2m,");
    let sidekey = Sidekey::serving(&config).start().await;
    assert!(no_credential(&sidekey.get("/api/").await) >= 258);
    assert_eq!((upstream.request_count(), endpoint.request_count()), (0, 1));
}

#[tokio::test]
async fn request_waits_for_a_renewal_in_progress() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    upstream.respond_with(endpoint.guard());
    let gate = Gate::closed();
    endpoint.next(MockTokenResponse::issue(2));
    endpoint.next(MockTokenResponse::issue(3600).delayed_until(&gate));
    let config = service("api", &upstream, &endpoint, "token_request: { timeout: 10m },", PATIENT);
    let sidekey = Sidekey::serving(&config).start_ready().await;
    endpoint.received(2).await;
    assert_eventually(TIMEOUT, "the first token expires", async || !sidekey.is_ready().await).await;
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(Request::get(sidekey.url("/api/")).send())).collect();
    let all_wait = async || sidekey.metric("sidekey_requests_in_flight", &[]).await == Some(20.0);
    assert_eventually(TIMEOUT, "all requests wait", all_wait).await;
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap().text(), "granted");
    }
    assert_eq!(endpoint.request_count(), 2);
}

#[tokio::test]
async fn request_waits_for_first_token_longer_than_timeouts_total() {
    let total = Duration::from_secs(2);
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    upstream.respond_with(endpoint.guard());
    let gate = Gate::closed();
    endpoint.always(MockTokenResponse::issue(3600).delayed_until(&gate));
    let more = format!("{PATIENT} timeouts: {{ total: {}s }},", total.as_secs());
    let config = service("api", &upstream, &endpoint, "token_request: { timeout: 10m },", &more);
    let sidekey = Sidekey::serving(&config).start().await;
    let call = tokio::spawn(Request::get(sidekey.url("/api/")).send());
    let waits = async || sidekey.metric("sidekey_requests_in_flight", &[]).await == Some(1.0);
    assert_eventually(TIMEOUT, "the request waits", waits).await;
    let began = Instant::now();
    assert_eventually(TIMEOUT, "the limit passes", async || began.elapsed() > total).await;
    gate.open();
    assert_eq!(call.await.unwrap().text(), "granted");
}

/// A service whose token has expired answers during an outage, although token requests are due all the time.
#[tokio::test]
async fn request_does_not_wait_through_an_outage() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(MockTokenResponse::issue(2));
    endpoint.always(MockTokenResponse::html(502));
    let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, "", PATIENT)).start_ready().await;
    assert_eventually(TIMEOUT, "the token expires", async || !sidekey.is_ready().await).await;
    for _ in 0..3 {
        no_credential(&sidekey.get("/api/").await);
    }
    assert_eq!(upstream.request_count(), 0);
}

/// It holds the permits of its caller.
#[tokio::test]
async fn request_whose_caller_goes_away_does_not_wait_for_a_token() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(MockTokenResponse::issue(3600).delayed_until(&Gate::closed()));
    let config = service("api", &upstream, &endpoint, "token_request: { timeout: 10m },", PATIENT);
    let sidekey = Sidekey::serving(&config).start().await;
    let mut with_body = sidekey.connect().await;
    with_body.send("POST /api/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\npart").await;
    let mut without = sidekey.connect().await;
    without.send("GET /api/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut over_http2 = Http2::open(sidekey.address()).await;
    let stream = over_http2.begin(get("/api/")).await;
    let in_flight = async || sidekey.metric("sidekey_requests_in_flight", &[]).await;
    assert_eventually(TIMEOUT, "all requests wait", async || in_flight().await == Some(3.0)).await;
    drop((with_body, without, stream));
    assert_eventually(TIMEOUT, "none of them waits", async || in_flight().await == Some(0.0)).await;
    assert_eq!(upstream.request_count(), 0);
}
