//! `rewrite_location`: a `Location` inside the upstream leads back to Sidekey, by the ingress that the caller
//! used.

use crate::harness::{Curl, MockResponse, MockUpstream, Request, Sidekey};
use crate::suite::http::setup::sidekey_for_url;

async fn redirecting(more: &str) -> (MockUpstream, Sidekey) {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&format!("{}/v2", upstream.url()), more).await;
    (upstream, sidekey)
}

fn answer(status: u16, name: &str, value: &str) -> MockResponse {
    MockResponse::status(status).header(name, value)
}

#[tokio::test]
async fn location_is_rewritten_for_prefix_host_and_own_port() {
    let (upstream, sidekey) = redirecting(", hosts: [api.internal], listen: '127.0.0.1:0'").await;
    let location = format!("{}/v2/next?a=b", upstream.url());
    for (call, expected) in [
        (Request::get(sidekey.url("/api/x")), "/api/next?a=b"),
        (Request::get(sidekey.url("/x")).header("Host", "api.internal"), "/next?a=b"),
        (Request::get(sidekey.service_url("api", "/x")), "/next?a=b"),
    ] {
        for (status, name) in
            [(301, "Location"), (302, "location"), (307, "Location"), (201, "Content-Location")]
        {
            upstream.next(answer(status, name, &location));
            let response = call.clone().send().await;
            assert_eq!((response.status, response.header(name)), (status, Some(expected)));
        }
    }
}

#[tokio::test]
async fn location_is_rewritten_for_proxy_requests() {
    let (upstream, sidekey) = redirecting("").await;
    let location = format!("{}/v2/next", upstream.url());
    upstream.next(answer(302, "Location", &location));
    let mut client = sidekey.connect().await;
    let own = upstream.address();
    client.send(format!("GET http://{own}/v2/x HTTP/1.1\r\nHost: {own}\r\n\r\n")).await;
    assert_eq!(client.response().await.header("location"), Some("/v2/next"));
}

#[tokio::test]
async fn location_outside_upstream_is_unchanged() {
    let (upstream, sidekey) = redirecting("").await;
    let inside = format!("{}/v2/next", upstream.url());
    let outside = format!("{}/v3/next", upstream.url());
    for (status, location) in [
        (302, "https://elsewhere.example/v2/x"),
        (302, &outside),
        (302, "next"),
        (200, &inside),
        (404, &inside),
    ] {
        upstream.next(answer(status, "Location", location));
        assert_eq!(sidekey.get("/api/x").await.header("location"), Some(location), "{status}");
    }
}

#[tokio::test]
async fn location_rewriting_can_be_disabled() {
    let (upstream, sidekey) = redirecting(", rewrite_location: false").await;
    let inside = format!("{}/v2/next", upstream.url());
    upstream.next(answer(302, "Location", &inside));
    assert_eq!(sidekey.get("/api/x").await.header("location"), Some(inside.as_str()));
}

#[tokio::test]
async fn location_redirects_are_followed_by_curl_with_credential() {
    let (upstream, sidekey) = redirecting("").await;
    upstream.next(answer(302, "Location", &format!("{}/v2/second", upstream.url())));
    upstream.next(answer(307, "Location", "/v2/third?x"));
    upstream.next(answer(302, "Location", "fourth"));
    let end = Curl::call(&["--location", &sidekey.url("/api/first")], b"").await;
    assert_eq!((end.status, end.text().as_str()), (200, "ok"));
    let seen: Vec<_> = upstream.requests().iter().map(|request| request.target.clone()).collect();
    assert_eq!(seen, ["/v2/first", "/v2/second", "/v2/third?x", "/v2/fourth"]);
    assert!(
        upstream.requests().iter().all(|request| request.header("authorization") == Some("Bearer t0ken"))
    );
}
