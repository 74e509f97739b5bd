//! `issuer` instead of `token_url`: metadata documents that are accepted, and those that are rejected.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::harness::{MockResponse, MockTokenEndpoint, MockUpstream, Sidekey, TIMEOUT, assert_eventually};

fn service(issuer: &str) -> String {
    format!(
        "api: {{ upstream: 'http://127.0.0.1:9', auth: {{ type: oauth2, grant_type: client_credentials, \
         issuer: '{issuer}', client_id: me, client_secret: s3cret }} }}"
    )
}

#[tokio::test]
async fn discovery_finds_rfc_8414_metadata_and_caches_it() {
    let endpoint = MockTokenEndpoint::plain().await;
    endpoint.always(crate::harness::MockTokenResponse::issue(2));
    let server = MockUpstream::plain().await;
    let issuer = server.url() + "/tenant";
    let document = json!({ "issuer": issuer, "token_endpoint": endpoint.url() });
    server.respond_with(move |request| match request.target.as_str() {
        "/.well-known/oauth-authorization-server/tenant" => MockResponse::json(&document),
        _ => MockResponse::status(404),
    });
    let _sidekey = Sidekey::serving(&service(&issuer)).start_ready().await;
    endpoint.received(3).await;
    let asked: Vec<_> = server.requests().iter().map(|request| request.target.clone()).collect();
    assert_eq!(
        asked,
        ["/tenant/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/tenant"]
    );
    assert!(server.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn discovery_refetches_metadata_if_the_endpoint_fails() {
    let (old, new) = (MockTokenEndpoint::plain().await, MockTokenEndpoint::plain().await);
    let server = MockUpstream::plain().await;
    let issuer = server.url();
    let documents =
        [&old, &new].map(|endpoint| json!({ "issuer": issuer, "token_endpoint": endpoint.url() }));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    server.respond_with(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => MockResponse::json(&documents[0]),
        1 => MockResponse::status(500),
        _ => MockResponse::json(&documents[1]),
    });
    old.always(crate::harness::MockTokenResponse::html(503));
    let sidekey = Sidekey::serving(&service(&issuer)).start().await;
    sidekey.ready().await;
    assert_eq!(
        (old.request_count(), new.request_count()),
        (2, 1),
        "the second request used the old metadata"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn discovery_rejects_untrustworthy_metadata() {
    let endpoint = MockTokenEndpoint::plain().await;
    let url = endpoint.url();
    for (answer, said) in [
        (
            MockResponse::json(&json!({ "issuer": "https://evil.example", "token_endpoint": url })),
            "has to match it exactly",
        ),
        (MockResponse::json(&json!({ "token_endpoint": url })), "names no issuer"),
        (MockResponse::status(302).header("Location", &url), "never followed"),
        (MockResponse::ok("<html>"), "no JSON object"),
        (MockResponse::status(503), "answered 503"),
        (MockResponse::ok(vec![b' '; 3 << 20]), "larger than 1 MiB"),
    ] {
        let server = MockUpstream::plain().await;
        server.always(answer);
        let sidekey = Sidekey::serving(&service(&server.url())).start().await;
        let logged = async || sidekey.log().contains(said);
        assert_eventually(TIMEOUT, said, logged).await;
    }
    // Valid except for the endpoint, which is neither on this machine nor TLS.
    let server = MockUpstream::plain().await;
    let document = json!({ "issuer": server.url(), "token_endpoint": "http://login.example/token" });
    server.always(MockResponse::json(&document));
    let sidekey = Sidekey::serving(&service(&server.url())).start().await;
    let logged = async || sidekey.log().contains("the token endpoint it names cannot be used");
    assert_eventually(TIMEOUT, "a plain endpoint is rejected", logged).await;
    assert_eq!(endpoint.request_count(), 0);
}
