//! Promise 1: a request for a service is never forwarded without its credential.

use crate::harness::{
    Gate, MockTokenEndpoint, MockTokenResponse, MockUpstream, Request, Sidekey, TIMEOUT, Version,
    assert_eventually,
};
use crate::suite::oauth2::setup::{no_credential, service};

#[tokio::test]
async fn request_without_token_is_503_after_token_wait() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.go_down();
    let config = service("api", &upstream, &endpoint, "", "token_wait: 300ms,");
    let sidekey = Sidekey::serving(&config).start().await;
    let response = Request::post(sidekey.url("/api/"), "body").send().await;
    no_credential(&response);
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    assert_eq!(upstream.connections(), 0);
    let errors =
        sidekey.metric("sidekey_request_errors_total", &[("reason", "credential_unavailable")]).await;
    assert_eq!(errors, Some(1.0));
}

#[tokio::test]
async fn request_waiting_for_token_is_sent_with_its_body() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let gate = Gate::closed();
    endpoint.next(MockTokenResponse::issue(3600).delayed_until(&gate));
    let config = service("api", &upstream, &endpoint, "", "token_wait: 30s,");
    let sidekey = Sidekey::serving(&config).start().await;
    let waiting = tokio::spawn(Request::post(sidekey.url("/api/"), "the whole body").send());
    let in_flight =
        async || sidekey.metric("sidekey_requests_in_flight", &[("service", "api")]).await == Some(1.0);
    assert_eventually(TIMEOUT, "the request is in flight", in_flight).await;
    assert_eq!(upstream.connections(), 0, "nothing is sent before there is a token");
    gate.open();
    assert_eq!(waiting.await.unwrap().status, 200);
    let request = upstream.only_request();
    assert_eq!(
        (request.header("authorization"), request.text().as_str()),
        (Some("Bearer tok-1"), "the whole body")
    );
}

#[tokio::test]
async fn request_is_served_if_endpoint_recovers_within_token_wait() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.go_down();
    let config = service("api", &upstream, &endpoint, "", "token_wait: 30s,");
    let sidekey = Sidekey::serving(&config).start().await;
    let failed =
        async || sidekey.metric("sidekey_token_requests_total", &[("result", "failure")]).await.is_some();
    assert_eventually(TIMEOUT, "the first attempt fails", failed).await;
    let waiting = tokio::spawn(Request::get(sidekey.url("/api/")).send());
    endpoint.come_up();
    assert_eq!(waiting.await.unwrap().status, 200);
    assert_eq!(upstream.only_request().header("authorization"), Some("Bearer tok-1"));
}

#[tokio::test]
async fn no_ingress_bypasses_the_credential() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(MockTokenResponse::empty());
    let more = "token_wait: 0s, hosts: [api.internal], listen: '127.0.0.1:0',";
    let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, "", more)).start().await;
    let absolute = "GET http://api.internal/x HTTP/1.1\r\nHost: api.internal\r\n\r\n";
    for version in Version::ALL {
        let own =
            Request::get(sidekey.service_url("api", "/x")).header("Authorization", "Bearer mine").by(version);
        no_credential(&own.send().await);
        let by_host = Request::get(sidekey.url("/x")).header("Host", "api.internal").by(version);
        no_credential(&by_host.send().await);
    }
    let mut connection = sidekey.connect().await;
    for _ in 0..2 {
        connection.send(absolute).await;
        no_credential(&connection.response().await);
    }
    for method in ["HEAD", "OPTIONS", "BREW"] {
        let response = Request::new(method, sidekey.url("/api/")).send().await;
        assert_eq!(
            (response.status, response.header("sidekey-error")),
            (503, Some("credential_unavailable"))
        );
    }
    assert_eq!(upstream.connections(), 0);
}
