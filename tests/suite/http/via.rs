//! `via`: the field that a proxy adds to what it forwards (RFC 9110 §7.6.3), off by default.

use super::setup::{Wire, sidekey_for, sidekey_for_url};
use crate::harness::{Http2, MockHttp2Upstream, MockResponse, MockUpstream, Sidekey, get};

#[tokio::test]
async fn via_is_absent_by_default() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    assert_eq!(sidekey.get("/api/x").await.header("via"), None);
    assert_eq!(upstream.only_request().header("via"), None);
}

#[tokio::test]
async fn via_is_added_to_request_response_and_interim_response() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&upstream.url(), ", via: true").await;
    upstream.always(
        MockResponse::ok("x").header("Via", "1.1 cache").after_informational("103 Early Hints\r\nX-Hint: 1"),
    );
    let mut caller = Wire::to(&sidekey).await;
    caller.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\nVia: 1.0 fred, 1.1 p.example\r\n\r\n").await;
    let interim = caller.until("\r\n\r\n").await;
    assert_eq!(interim, "HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\nVia: 1.1 sidekey\r\n\r\n");
    let head = caller.until("\r\n\r\n").await;
    assert!(head.contains("\r\nVia: 1.1 cache\r\n") && head.contains("\r\nVia: 1.1 sidekey\r\n"), "{head}");
    assert_eq!(upstream.last_request().headers.all("via"), ["1.0 fred, 1.1 p.example", "1.1 sidekey"]);
    let mut old = Wire::to(&sidekey).await;
    old.send("GET /api/x HTTP/1.0\r\n\r\n").await;
    old.until("\r\n\r\n").await;
    assert_eq!(upstream.last_request().headers.all("via"), ["1.0 sidekey"]);
    // A response of Sidekey's own is not forwarded.
    assert_eq!(sidekey.get("/nobody/x").await.header("via"), None);
}

#[tokio::test]
async fn via_names_the_version_that_was_received() {
    let upstream = MockHttp2Upstream::plain().await;
    let sidekey = sidekey_for_url(&upstream.url(), ", protocol: http2, via: true").await;
    let response = sidekey.get("/api/x").await;
    assert_eq!(response.header("via"), Some("2 sidekey"));
    assert_eq!(upstream.last_request().headers["via"], "1.1 sidekey");
    let response = Http2::open(sidekey.address()).await.call(get("/api/x")).await;
    assert_eq!(response.header("via"), Some("2 sidekey"));
    assert_eq!(upstream.last_request().headers["via"], "2 sidekey");
}

#[tokio::test]
async fn via_of_a_service_overrides_the_one_of_all() {
    let upstream = MockUpstream::plain().await;
    let auth = "auth: { type: bearer, token: t }";
    let services = format!(
        "on: {{ upstream: '{0}', {auth} }}\noff: {{ upstream: '{0}', {auth}, via: false }}",
        upstream.url()
    );
    let config = format!("via: true\n{}", Sidekey::configuration_serving(&services));
    let sidekey = Sidekey::configured(&config).start().await;
    assert_eq!(sidekey.get("/on/x").await.header("via"), Some("1.1 sidekey"));
    assert_eq!(sidekey.get("/off/x").await.header("via"), None);
}
