//! Token requests that fail.

use futures_util::future::join_all;

use super::setup::{EXCHANGE, Issuer, call, echo, number, service, serving, subject};
use crate::harness::{MockResponse, RecordedRequest, Request, Sidekey, TIMEOUT, assert_eventually};
use crate::suite::trust::callers::setup::sha256;

#[tokio::test]
async fn refused_caller_gets_401_and_cannot_flood_the_endpoint() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let sidekey = serving(&upstream, &issuer, EXCHANGE, "").await;
    for (caller, code) in
        [("mallory", "invalid_grant"), ("eve", "invalid_request"), ("trudy", "invalid_token")]
    {
        issuer.refuse(caller, code);
        let before = issuer.requests();
        for _ in 0..10 {
            let response = call(&sidekey, caller).await;
            assert_eq!((response.status, response.sidekey_error()), (401, Some("unauthenticated")), "{code}");
            assert_eq!(
                response.header("www-authenticate"),
                Some("Bearer realm=\"sidekey\", error=\"invalid_token\"")
            );
            let problem = response.json();
            assert!(problem["detail"].as_str().unwrap().contains("refuses the token"), "{problem}");
            assert!(!response.text().contains(caller));
        }
        assert_eq!(issuer.requests(), before + 1, "{code}");
    }
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1, "another caller is served");
    assert_eq!(upstream.request_count(), 1);
    let refused = [("service", "api"), ("result", "failure"), ("reason", "refused")];
    assert_eq!(sidekey.metric("sidekey_token_requests_total", &refused).await, Some(3.0));
}

#[tokio::test]
async fn failure_that_is_not_the_callers_is_503_with_retry_after() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let sidekey = serving(&upstream, &issuer, EXCHANGE, ", token_wait: 2s").await;
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1);
    for (caller, response, retry_after) in [
        ("one", MockResponse::status(500), "2"),
        ("two", MockResponse::status(429).header("Retry-After", "7"), "8"),
        ("three", MockResponse::status(400).body(r#"{"error":"invalid_client"}"#), "2"),
        ("four", MockResponse::ok("<html>"), "2"),
    ] {
        issuer.fail(caller, response.header("Content-Type", "application/json"));
        let response = call(&sidekey, caller).await;
        assert_eq!(
            (response.status, response.sidekey_error()),
            (503, Some("credential_unavailable")),
            "{caller}"
        );
        assert_eq!(response.header("retry-after"), Some(retry_after), "{caller}");
    }
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1, "tokens that are held stay in use");
    let logged = sidekey.logged_like("no token for a caller could be obtained").await;
    assert_eq!(logged["sidekey.service"], "api");
    assert!(sidekey.is_ready().await, "readiness does not depend on the tokens of callers");
}

#[tokio::test]
async fn endpoint_that_does_not_answer_ends_the_wait() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let sidekey = serving(&upstream, &issuer, EXCHANGE, ", token_wait: 200ms").await;
    let gate = issuer.hold();
    let response = call(&sidekey, "alice").await;
    assert_eq!((response.status, response.sidekey_error()), (503, Some("credential_unavailable")));
    gate.open();
    assert_eventually(TIMEOUT, "the token that comes late is used", async || {
        call(&sidekey, "alice").await.status == 200
    })
    .await;
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1);
    assert_eq!(issuer.requests(), 1, "one token request, however many waited for it");
}

#[tokio::test]
async fn token_requests_at_the_same_time_are_limited() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let auth = format!("{EXCHANGE}, caller_tokens: {{ max_requests: 2 }}");
    let sidekey = serving(&upstream, &issuer, &auth, ", token_wait: 30s").await;
    let gate = issuer.hold();
    let calls = (0..50).map(|number| {
        let sidekey = &sidekey;
        async move { call(sidekey, &format!("caller-{number}")).await }
    });
    let opened = async {
        // 2 run, 32 wait, and the rest are refused.
        let reasons = [("service", "api"), ("reason", "overloaded")];
        assert_eventually(TIMEOUT, "the queue is full", async || {
            sidekey.metric("sidekey_request_errors_total", &reasons).await == Some(16.0)
        })
        .await;
        assert_eq!(issuer.requests(), 2);
        gate.open();
    };
    let (responses, ()) = tokio::join!(join_all(calls), opened);
    let served = responses.iter().filter(|response| response.status == 200).count();
    let refused: Vec<_> = responses.iter().filter(|response| response.status == 503).collect();
    assert_eq!((served, refused.len()), (34, 16));
    assert!(refused.iter().all(|response| response.header("retry-after") == Some("1")));
}

/// One of two known callers sends one token after another that is its own invention.
#[tokio::test]
async fn flood_of_one_caller_leaves_token_requests_to_another() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let service =
        service(&upstream, &issuer, &format!("{EXCHANGE}, caller_tokens: {{ max_requests: 2 }}"), "");
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ncallers:\n  evil: {{ bearer: {{ sha256: {} }} }}\n\
         \x20 good: {{ bearer: {{ sha256: {} }} }}\n\
         roles: {{ all: {{ callers: [evil, good], services: [api] }} }}\nservices:\n  {service}\n",
        sha256("CANARY-evil-0123456789abcdefghij"),
        sha256("CANARY-good-0123456789abcdefghij"),
    );
    let sidekey = Sidekey::configured(&config).start().await;
    let call = async |key: &str, token: &str| {
        let request = Request::get(sidekey.url("/api/x"))
            .header("Proxy-Authorization", &format!("Bearer CANARY-{key}-0123456789abcdefghij"));
        request.header("Authorization", &format!("Bearer {token}")).send().await
    };
    let gate = issuer.hold();
    let junk: Vec<_> = (0..80).map(|number| format!("junk-{number}")).collect();
    let flood = join_all(junk.iter().map(|token| call("evil", token)));
    let meanwhile = async {
        // More of them than may wait.
        let overloaded = [("service", "api"), ("reason", "overloaded")];
        assert_eventually(TIMEOUT, "the places of the flood are taken", async || {
            sidekey.metric("sidekey_request_errors_total", &overloaded).await.is_some_and(|count| count > 0.0)
        })
        .await;
        let good = call("good", "alice");
        let asked = async {
            let is_of_good = |request: &RecordedRequest| subject(request) == "alice";
            assert_eventually(TIMEOUT, "a token is requested for the other caller", async || {
                issuer.server.requests().iter().any(is_of_good)
            })
            .await;
            gate.open();
        };
        tokio::join!(good, asked).0
    };
    let (_, good) = tokio::join!(flood, meanwhile);
    number(&good, "alice");
}
