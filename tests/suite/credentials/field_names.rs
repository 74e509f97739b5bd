//! Names of header fields go out in HTTP/1.1 as the configuration writes them, and in lower case in HTTP/2.

use crate::harness::{
    MockHttp2Upstream, MockTokenEndpoint, MockUpstream, Sidekey, TIMEOUT, assert_eventually,
};
use crate::suite::oauth2::setup::service;

/// The names of the fields of the last request, as they were received.
fn names(upstream: &MockUpstream) -> Vec<String> {
    upstream.last_request().headers.0.into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn field_name_is_sent_as_it_is_configured() {
    for (auth, expected) in [
        ("{ type: api_key, name: X-API-key, value: k }", &["X-API-key"][..]),
        ("{ type: api_key, name: x-api-key, value: k, previous: old }", &["x-api-key"]),
        ("{ type: api_key, name: AUTHORIZATION, value: k }", &["AUTHORIZATION"]),
        (
            "{ type: header, headers: { DD-API-KEY: a, dd-Application-Key: b } }",
            &["DD-API-KEY", "dd-Application-Key"],
        ),
        (
            "{ type: hmac, key: signing-key, parts: [timestamp], header: X-SIG, timestamp_header: X-Time }",
            &["X-SIG", "X-Time"],
        ),
        (
            "{ type: aws_sigv4, service: s3, region: eu-west-1, access_key_id: a, secret_access_key: s, session_token: t }",
            &["Authorization", "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token"],
        ),
        ("{ type: bearer, token: t }", &["Authorization"]),
        ("{ type: basic, username: u, password: p }", &["Authorization"]),
    ] {
        let upstream = MockUpstream::plain().await;
        let sidekey = Sidekey::serving(&format!("api: {{ upstream: '{}', auth: {auth} }}", upstream.url()))
            .start()
            .await;
        assert_eq!(sidekey.get("/api/x").await.status, 200);
        let names = names(&upstream);
        for name in expected {
            assert!(names.iter().any(|sent| sent == name), "{name} in {names:?}");
        }
    }
}

#[tokio::test]
async fn field_name_is_lower_case_in_http2() {
    let upstream = MockHttp2Upstream::plain().await;
    let auth = "{ type: api_key, name: X-API-Key, value: k }";
    let services = format!("api: {{ upstream: '{}', protocol: http2, auth: {auth} }}", upstream.url());
    let sidekey = Sidekey::serving(&services).start().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    assert_eq!(upstream.last_request().headers["x-api-key"], "k");
}

#[tokio::test]
async fn field_name_changes_its_case_with_a_reload() {
    let upstream = MockUpstream::plain().await;
    let config = |name: &str| {
        let auth = format!("{{ type: api_key, name: {name}, value: k }}");
        Sidekey::configuration_serving(&format!("api: {{ upstream: '{}', auth: {auth} }}", upstream.url()))
    };
    let sidekey = Sidekey::configured(&config("x-api-key")).start().await;
    sidekey.reconfigure(&config("X-Api-KEY"));
    assert!(sidekey.reload().await);
    assert_eventually(TIMEOUT, "the new spelling is sent", async || {
        sidekey.get("/api/x").await;
        names(&upstream).contains(&"X-Api-KEY".to_owned())
    })
    .await;
}

#[tokio::test]
async fn token_request_has_names_in_title_case() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let auth = "token_request: { headers: { x-tenant-id: a } },";
    let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, auth, "")).start_ready().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    let head = String::from_utf8(endpoint.requests()[0].http.raw_head.clone()).unwrap();
    for name in ["Authorization: ", "Content-Type: ", "X-Tenant-Id: "] {
        assert!(head.contains(&format!("\r\n{name}")), "{name} in {head}");
    }
}
