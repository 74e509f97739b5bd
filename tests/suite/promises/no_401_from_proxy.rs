//! Promise 4: if Sidekey itself fails, the app gets 502, 503 or 504, never a 401, which would suggest that
//! its own login is wrong. The upstream's own 401 is passed on.

use crate::harness::{
    Connection, MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey, TIMEOUT,
    assert_eventually,
};
use crate::suite::oauth2::setup::{no_credential, service};

#[tokio::test]
async fn token_rejection_is_503_without_challenge() {
    for status in [400, 401, 403, 407] {
        let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
        let challenge = MockResponse::status(status)
            .header("WWW-Authenticate", "Basic realm=\"idp\"")
            .header("Proxy-Authenticate", "Basic realm=\"idp\"")
            .header("Content-Type", "application/json")
            .body(r#"{"error":"invalid_client"}"#);
        endpoint.always(challenge);
        let config = service("api", &upstream, &endpoint, "", "token_wait: 0s,");
        let sidekey = Sidekey::serving(&config).start().await;
        let refused =
            async || sidekey.metric("sidekey_token_requests_total", &[("reason", "refused")]).await.is_some();
        assert_eventually(TIMEOUT, "the token request is rejected", refused).await;
        let response = sidekey.get("/api/").await;
        no_credential(&response);
        assert_eq!(
            (response.header("www-authenticate"), response.header("proxy-authenticate")),
            (None, None)
        );
        assert_eq!(upstream.connections(), 0);
    }
}

#[tokio::test]
async fn upstream_401_is_passed_on_and_counted() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, "", "")).start_ready().await;
    upstream.always(
        MockResponse::status(401).header("WWW-Authenticate", "Bearer error=\"invalid_token\"").body("no"),
    );
    let response = sidekey.get("/api/").await;
    assert_eq!((response.status, response.text().as_str()), (401, "no"));
    assert_eq!(response.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    assert_eq!(response.sidekey_error(), None);
    upstream.always(MockResponse::status(403));
    assert_eq!(sidekey.get("/api/").await.status, 403);
    let counted = sidekey.metric("sidekey_upstream_unauthorized_total", &[("service", "api")]).await;
    // The request was retried with a new token.
    assert_eq!(counted, Some(2.0));
}

#[tokio::test]
async fn error_responses_have_no_challenge() {
    let upstream = MockUpstream::plain().await;
    let config = format!(
        "api: {{ upstream: '{}/base', auth: {{ type: bearer, token: t }}, timeouts: {{ first_byte: 1s }} }}\n\
         down: {{ upstream: 'http://127.0.0.1:1', auth: {{ type: bearer, token: t }} }}",
        upstream.url()
    );
    let sidekey = Sidekey::serving(&config).start().await;
    for (answer, request, status, reason) in [
        (None, "GET /down/", 502, "upstream_connect"),
        (None, "GET /nobody/", 404, "unknown_service"),
        (None, "GET /api/../x", 403, "forbidden"),
        (Some(MockResponse::never()), "GET /api/", 504, "upstream_timeout"),
        (Some(MockResponse::close_unanswered()), "GET /api/", 502, "upstream_protocol"),
        (Some(MockResponse::raw("nonsense\r\n\r\n")), "GET /api/", 502, "upstream_protocol"),
    ] {
        if let Some(answer) = answer {
            upstream.next(answer);
        }
        let mut connection = Connection::open(sidekey.address()).await;
        connection.send(format!("{request} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let response = connection.response().await;
        assert_eq!((response.status, response.sidekey_error()), (status, Some(reason)), "{request}");
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        assert_eq!(response.json()["status"], status);
        assert_eq!(
            (response.header("www-authenticate"), response.header("proxy-authenticate")),
            (None, None)
        );
    }
}

#[tokio::test]
async fn retry_after_follows_the_next_token_request() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(MockTokenResponse::retry_after("1000"));
    let config = service("api", &upstream, &endpoint, "", "token_wait: 0s,");
    let sidekey = Sidekey::serving(&config).start().await;
    let limited = async || {
        sidekey.metric("sidekey_token_requests_total", &[("reason", "rate_limited")]).await.is_some()
    };
    assert_eventually(TIMEOUT, "the endpoint asks to wait", limited).await;
    let told = async || no_credential(&sidekey.get("/api/").await) > 900;
    assert_eventually(TIMEOUT, "the caller gets the same delay", told).await;
}
