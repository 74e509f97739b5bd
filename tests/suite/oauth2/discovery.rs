//! `issuer` instead of `token_url`: metadata documents that are accepted, and those that are rejected.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::setup::PATIENCE;
use crate::harness::{Answer, Sidekey, TokenEndpoint, Upstream, assert_eventually};

fn service(issuer: &str) -> String {
    format!(
        "api: {{ upstream: 'http://127.0.0.1:9', auth: {{ type: oauth2, grant_type: client_credentials, \
         issuer: '{issuer}', client_id: me, client_secret: s3cret }} }}"
    )
}

#[tokio::test]
async fn discovery_finds_rfc_8414_metadata_and_caches_it() {
    let endpoint = TokenEndpoint::plain().await;
    endpoint.always(crate::harness::TokenAnswer::issue(2));
    let server = Upstream::plain().await;
    let issuer = server.url() + "/tenant";
    let document = json!({ "issuer": issuer, "token_endpoint": endpoint.url() });
    server.answer_with(move |request| match request.target.as_str() {
        "/.well-known/oauth-authorization-server/tenant" => Answer::json(&document),
        _ => Answer::status(404),
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
    let (old, new) = (TokenEndpoint::plain().await, TokenEndpoint::plain().await);
    let server = Upstream::plain().await;
    let issuer = server.url();
    let documents =
        [&old, &new].map(|endpoint| json!({ "issuer": issuer, "token_endpoint": endpoint.url() }));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    server.answer_with(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::json(&documents[0]),
        1 => Answer::status(500),
        _ => Answer::json(&documents[1]),
    });
    old.always(crate::harness::TokenAnswer::html(503));
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
    let endpoint = TokenEndpoint::plain().await;
    let url = endpoint.url();
    for (answer, said) in [
        (
            Answer::json(&json!({ "issuer": "https://evil.example", "token_endpoint": url })),
            "has to match it exactly",
        ),
        (Answer::json(&json!({ "token_endpoint": url })), "names no issuer"),
        (Answer::status(302).header("Location", &url), "never followed"),
        (Answer::ok("<html>"), "no JSON object"),
        (Answer::status(503), "answered 503"),
        (Answer::ok(vec![b' '; 3 << 20]), "larger than 1 MiB"),
    ] {
        let server = Upstream::plain().await;
        server.always(answer);
        let sidekey = Sidekey::serving(&service(&server.url())).start().await;
        let logged = async || sidekey.log().contains(said);
        assert_eventually(PATIENCE, said, logged).await;
    }
    // Valid except for the endpoint, which is neither on this machine nor TLS.
    let server = Upstream::plain().await;
    let document = json!({ "issuer": server.url(), "token_endpoint": "http://login.example/token" });
    server.always(Answer::json(&document));
    let sidekey = Sidekey::serving(&service(&server.url())).start().await;
    let logged = async || sidekey.log().contains("the token endpoint it names cannot be used");
    assert_eventually(PATIENCE, "a plain endpoint is rejected", logged).await;
    assert_eq!(endpoint.request_count(), 0);
}
