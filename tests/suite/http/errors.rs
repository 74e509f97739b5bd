//! Sidekey's own error responses: one format, distinct from the upstream's errors, and counted.

use super::setup::{Wire, sidekey_for};
use crate::harness::{
    MockResponse, MockUpstream, Pki, RefusingPort, Request, Response, Sidekey, TIMEOUT, Version,
    assert_eventually,
};

fn assert_problem(response: &Response, status: u16, reason: &str) {
    assert_eq!((response.status, response.sidekey_error()), (status, Some(reason)));
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let problem = response.json();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["type"], format!("urn:sidekey:error:{reason}"));
    assert!(problem["title"].is_string() && problem["detail"].is_string());
    assert!(problem["request_id"].is_string(), "{problem}");
    let names = usize::from(reason == "unknown_service");
    assert_eq!(problem.as_object().unwrap().len(), 5 + names);
    assert!(![401, 407].contains(&status));
}

#[tokio::test]
async fn error_reasons_have_status_problem_and_count_over_http1() {
    every_reason(Version::Http1).await;
}

#[tokio::test]
async fn error_reasons_have_status_problem_and_count_over_http2() {
    every_reason(Version::Http2).await;
}

async fn every_reason(version: Version) {
    let (upstream, endpoint, refusing) =
        (MockUpstream::plain().await, RefusingPort::new(), RefusingPort::new());
    let untrusted = MockUpstream::tls(&Pki::new()).await;
    let bearer = "auth: { type: bearer, token: t0ken }";
    let services = format!(
        "api: {{ upstream: '{0}/base', {bearer}, timeouts: {{ first_byte: 1s }} }}\n\
         down: {{ upstream: 'http://{1}', {bearer} }}\n\
         tls: {{ upstream: '{2}', {bearer} }}\n\
         bare: {{ upstream: '{0}', token_wait: 10ms, readiness: never, auth: {{ type: oauth2, grant_type: client_credentials, \
         token_url: 'http://{3}/token', client_id: c, client_secret: s3cret }} }}",
        upstream.url(),
        refusing.address,
        untrusted.url(),
        endpoint.address,
    );
    let sidekey = Sidekey::serving(&services).start().await;
    let get = async |path: &str| Request::get(sidekey.url(path)).by(version).send().await;

    assert_problem(&get("/unknown/x").await, 404, "unknown_service");
    assert_problem(&get("/api/../x").await, 403, "forbidden");
    let response = get("/bare/x").await;
    assert_problem(&response, 503, "credential_unavailable");
    assert!(response.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_problem(&get("/down/x").await, 502, "upstream_connect");
    assert_problem(&get("/tls/x").await, 502, "upstream_tls");
    upstream.next(MockResponse::close_unanswered());
    assert_problem(&get("/api/x").await, 502, "upstream_protocol");
    upstream.next(MockResponse::never());
    assert_problem(&get("/api/x").await, 504, "upstream_timeout");
    let two_hosts = Request::get(sidekey.url("/api/x")).header("Host", "a").header("host", "b");
    assert_problem(&two_hosts.by(version).send().await, 400, "bad_request");
    // Over HTTP/2 a head that is too large is rejected by the protocol, before it is a request.
    let large = Request::get(sidekey.url("/api/x")).header("X", &"x".repeat(70_000));
    assert_problem(&large.send().await, 413, "too_large");

    for reason in [
        "unknown_service",
        "forbidden",
        "credential_unavailable",
        "upstream_connect",
        "upstream_tls",
        "upstream_protocol",
        "upstream_timeout",
        "bad_request",
        "too_large",
    ] {
        assert_eq!(
            sidekey.metric("sidekey_request_errors_total", &[("reason", reason)]).await,
            Some(1.0),
            "{reason}"
        );
    }
    assert_eq!(upstream.request_count(), 2);
}

#[tokio::test]
async fn error_response_to_head_has_no_body() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    upstream.always(MockResponse::close_unanswered());
    for path in ["/unknown/x", "/api/x"] {
        let mut client = Wire::to(&sidekey).await;
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await;
        let answer = client.rest().await;
        assert!(answer.contains("\r\nSidekey-Error: ") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn upstream_error_is_not_marked_as_sidekey_error() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for status in [400, 401, 403, 404, 407, 413, 429, 500, 502, 503, 504] {
        upstream.next(MockResponse::status(status).header("Sidekey-Error", "forged").body("its own"));
        upstream.next(MockResponse::status(status).header("Sidekey-Error", "forged").body("its own"));
        for version in Version::ALL {
            let response = Request::get(sidekey.url("/api/x")).by(version).send().await;
            assert_eq!(
                (response.status, response.sidekey_error(), response.text().as_str()),
                (status, None, "its own")
            );
        }
    }
    assert_eq!(sidekey.metric("sidekey_request_errors_total", &[]).await, None);
    // A request is counted after the caller has its response.
    assert_eventually(TIMEOUT, "all are counted", async || {
        sidekey.metric("sidekey_requests_total", &[("service", "api")]).await == Some(22.0)
    })
    .await;
}
