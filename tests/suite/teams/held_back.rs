//! A service that does not run keeps its place: no request for it reaches another service, a tunnel, or its upstream.

use serde_json::json;

use super::setup::{including, service, with_files};
use crate::harness::{
    MockTokenEndpoint, MockTokenResponse, MockUpstream, Request, Sidekey, TIMEOUT, assert_eventually,
};

/// The status, and the reason of an error of Sidekey's own.
async fn answer(sidekey: &Sidekey, head: &str) -> (u16, Option<String>) {
    let mut caller = sidekey.connect().await;
    caller.send(head).await;
    let response = caller.response().await;
    (response.status, response.header("sidekey-error").map(str::to_owned))
}

#[tokio::test]
async fn misconfigured_service_gets_no_request_and_gives_none_to_others() {
    let upstream = MockUpstream::plain().await;
    // `wide` has the same server without a path, so that it would get the requests of `narrow` through a proxy setting.
    let wide = service(&upstream, "wide", "token-of-wide");
    let narrow = format!(
        "  narrow: {{ upstream: '{}/api', hosts: [narrow.example], listen: 127.0.0.1:0, auth: {{ type: bearer, token: {{ env: \
         NOT_SET_ANYWHERE }} }} }}\n",
        upstream.url()
    );
    let more = "connect: { unmatched: tunnel }\n";
    let files = [("a.yaml", format!("services:\n{wide}")), ("b.yaml", format!("services:\n{narrow}"))];
    let sidekey = with_files(&including(more), files).start_ready().await;
    let authority = upstream.url().replace("http://", "");
    let misconfigured = (503, Some("misconfigured".to_owned()));
    for head in [
        "GET /narrow/x HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET /x HTTP/1.1\r\nHost: narrow.example\r\n\r\n".to_owned(),
        "GET http://narrow.example/x HTTP/1.1\r\nHost: narrow.example\r\n\r\n".to_owned(),
        format!("GET http://{authority}/api/x HTTP/1.1\r\nHost: {authority}\r\n\r\n"),
    ] {
        assert_eq!(answer(&sidekey, &head).await, misconfigured, "{head}");
    }
    let connect = "CONNECT narrow.example:443 HTTP/1.1\r\nHost: narrow.example:443\r\n\r\n";
    assert_eq!(answer(&sidekey, connect).await, (403, Some("forbidden".into())), "no tunnel");
    assert_eventually(TIMEOUT, "its listener is open", async || {
        sidekey.newest_address_of("narrow").is_some()
    })
    .await;
    let own = format!("http://{}/x", sidekey.newest_address_of("narrow").unwrap());
    let response = Request::get(own).send().await;
    assert_eq!((response.status, response.header("sidekey-error")), (503, Some("misconfigured")));
    assert_eq!(upstream.request_count(), 0);
    // What is no place of it is served.
    let other = format!("GET http://{authority}/other HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    assert_eq!(answer(&sidekey, &other).await.0, 200);
    assert_eq!(upstream.last_request().header("authorization"), Some("Bearer token-of-wide"));
    let errors = [("service", "narrow"), ("reason", "misconfigured")];
    assert_eq!(sidekey.metric("sidekey_request_errors_total", &errors).await, Some(5.0));
}

#[tokio::test]
async fn disabled_service_is_answered_with_503_and_requests_no_token() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let off = format!(
        "  off: {{ upstream: '{}', enabled: false, labels: {{ team: sales }}, auth: {{ type: oauth2, grant_type: client_credentials, \
         token_url: '{}', client_id: a, client_secret: s }} }}\n",
        upstream.url(),
        tokens.url()
    );
    let file = format!("services:\n{}{off}", service(&upstream, "on", "t"));
    let sidekey = with_files(&including(""), [("a.yaml", file)]).start_ready().await;
    let response = sidekey.get("/off/x").await;
    assert_eq!((response.status, response.header("sidekey-error")), (503, Some("disabled")));
    let view = Request::get(sidekey.admin_url("/api/v1/services/off")).send().await.json();
    assert_eq!((&view["state"], &view["severity"]), (&json!("disabled"), &json!("ok")), "{view}");
    assert_eq!((tokens.request_count(), upstream.request_count()), (0, 0));
    let metrics = sidekey.metrics().await;
    for series in [
        r#"sidekey_service_info{kind="oauth2",service="off",team="sales"} 1"#,
        r#"sidekey_service_info{kind="bearer",service="on",team=""} 1"#,
        r#"sidekey_service_misconfigured{service="off"} 0"#,
    ] {
        assert!(metrics.contains(series), "{series}: {metrics}");
    }
}

#[tokio::test]
async fn readiness_depends_on_a_service_as_it_says() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let oauth2 = |readiness: &str| {
        format!(
            "services:\n  crm: {{ upstream: '{}', readiness: {readiness}, auth: {{ type: oauth2, grant_type: client_credentials, \
             token_url: '{}', client_id: a, client_secret: s }} }}\n",
            upstream.url(),
            tokens.url()
        )
    };
    let is_ready = async |readiness: &str, broken: &str| {
        let broken = format!("services:\n  broken: {{ upstrem: x, readiness: {broken} }}\n");
        let files = [("a.yaml", oauth2(readiness)), ("b.yaml", broken)];
        with_files(&including(""), files).start().await.is_ready().await
    };
    tokens.always(MockTokenResponse::error(503, "unavailable"));
    assert!(!is_ready("first", "never").await, "not ready once yet");
    assert!(!is_ready("always", "never").await);
    assert!(is_ready("never", "never").await);
    assert!(is_ready("never", "first").await, "a misconfigured service does not hold back the others");
    assert!(!is_ready("never", "always").await);
}
