//! Promise 5: one credential, one token request in flight; back-off honours `Retry-After`.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use sidekey::refresh::schedule::{refresh_in, usable_for};

use crate::harness::{
    Gate, MockTokenEndpoint, MockTokenResponse, MockUpstream, Request, Sidekey, TIMEOUT, allow_descriptors,
    assert_eventually,
};
use crate::suite::oauth2::setup::service;

#[tokio::test]
async fn start_with_1000_requests_is_one_token_request() {
    // Two thousand sockets exceed the usual limit of a shell.
    allow_descriptors(4096);
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let gate = Gate::closed();
    endpoint.next(MockTokenResponse::issue(3600).delayed_until(&gate));
    let config = service("api", &upstream, &endpoint, "token_request: { timeout: 60s },", "token_wait: 60s,");
    let sidekey = Sidekey::serving(&config).start().await;
    let calls: Vec<_> = (0..1000).map(|_| tokio::spawn(Request::get(sidekey.url("/api/")).send())).collect();
    let all_wait = async || sidekey.metric("sidekey_requests_in_flight", &[]).await == Some(1000.0);
    assert_eventually(TIMEOUT, "a thousand requests are in flight", all_wait).await;
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
    assert_eq!(endpoint.request_count(), 1);
    let all_with_it =
        upstream.requests().iter().all(|request| request.header("authorization") == Some("Bearer tok-1"));
    assert!(all_with_it && upstream.request_count() == 1000);
}

#[tokio::test]
async fn equal_credentials_share_one_token() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let named = |name: &str, auth: &str| service(name, &upstream, &endpoint, auth, "");
    let config = [
        named("a", ""),
        named("b", ""),
        named("scope", "scopes: [read],"),
        named("params", "token_request: { params: { audience: x } },"),
        named("method", "auth_method: client_secret_post,"),
        named("secret", "").replace("s3cret", "0ther"),
        named("client", "").replace("client_id: me", "client_id: you"),
    ]
    .concat();
    let sidekey = Sidekey::serving(&config).start_ready().await;
    let mut tokens = Vec::new();
    for name in ["a", "b", "scope", "params", "method", "secret", "client"] {
        assert_eq!(sidekey.get(&format!("/{name}/")).await.status, 200);
        tokens.push(upstream.last_request().header("authorization").unwrap().to_owned());
    }
    assert_eq!(tokens[0], tokens[1]);
    assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), 6);
    assert_eq!(endpoint.request_count(), 6);
}

#[tokio::test]
async fn token_is_refreshed_once_per_lifetime() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(MockTokenResponse::issue(2));
    let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, "", "")).start_ready().await;
    while endpoint.request_count() < 5 {
        // Requests do not change the schedule.
        sidekey.get("/api/").await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let requests = endpoint.requests();
    let took = requests[4].at - requests[0].at;
    // The schedule counts from when the first token request was sent, a little before it arrived.
    let renewal = refresh_in(usable_for(Duration::from_secs(2)), 0.0);
    assert!(took + Duration::from_millis(500) >= renewal * 4, "{took:?} for four renewals");
}

#[tokio::test]
async fn retry_after_is_honoured_as_seconds_and_as_date() {
    let upstream = MockUpstream::plain().await;
    let endpoints = [MockTokenEndpoint::plain().await, MockTokenEndpoint::plain().await];
    endpoints[0].next(MockTokenResponse::retry_after("2"));
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(4));
    endpoints[1].next(MockTokenResponse::retry_after(&date));
    let config =
        service("a", &upstream, &endpoints[0], "", "") + &service("b", &upstream, &endpoints[1], "", "");
    let started = std::time::Instant::now();
    let _sidekey = Sidekey::serving(&config).start_ready().await;
    let seconds = endpoints[0].requests();
    assert!(seconds[1].at - seconds[0].at >= Duration::from_secs(2));
    // A date has no fractions of a second.
    assert!(endpoints[1].requests()[1].at - started >= Duration::from_millis(2900));
    assert_eq!((endpoints[0].request_count(), endpoints[1].request_count()), (2, 2));
}
