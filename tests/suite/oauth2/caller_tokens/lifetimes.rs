//! How long tokens of callers are held, and how many.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::setup::{EXCHANGE, Issuer, call, echo, number, serving};
use crate::harness::{MockResponse, Request, TIMEOUT, assert_eventually};

/// A JWT that ends in this number of seconds.
fn jwt(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let claims = format!(r#"{{"sub":"alice","exp":{}}}"#, now.saturating_add_signed(seconds));
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

#[tokio::test]
async fn least_recently_used_token_is_evicted() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let auth = format!("{EXCHANGE}, caller_tokens: {{ max_entries: 2 }}");
    let sidekey = serving(&upstream, &issuer, &auth, "").await;
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1);
    assert_eq!(number(&call(&sidekey, "bob").await, "bob"), 2);
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1);
    assert_eq!(number(&call(&sidekey, "carol").await, "carol"), 3);
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1, "it was used");
    assert_eq!(number(&call(&sidekey, "bob").await, "bob"), 4, "it had to go");
    let evicted = [("service", "api"), ("reason", "evicted")];
    assert_eq!(sidekey.metric("sidekey_caller_tokens_ended_total", &evicted).await, Some(2.0));
    assert_eq!(sidekey.metric("sidekey_caller_tokens", &[("service", "api")]).await, Some(2.0));
    let view = Request::get(sidekey.admin_url("/api/v1/services/api")).send().await.json();
    assert_eq!(view["caller_tokens"], serde_json::json!({ "held": 2, "max": 2 }));
    assert!(view["token"].is_null());
}

#[tokio::test]
async fn refused_subjects_take_no_place_of_a_token() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let auth = format!("{EXCHANGE}, caller_tokens: {{ max_entries: 1 }}");
    let sidekey = serving(&upstream, &issuer, &auth, "").await;
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1);
    issuer.refuse("*", "invalid_grant");
    for index in 0..20 {
        assert_eq!(call(&sidekey, &format!("mallory-{index}")).await.status, 401);
    }
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1);
}

#[tokio::test]
async fn token_is_dropped_when_it_expires() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let sidekey = serving(&upstream, &issuer, EXCHANGE, "").await;
    issuer.lifetime(2);
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1);
    assert_eventually(TIMEOUT, "it is dropped", async || {
        sidekey.metric("sidekey_caller_tokens", &[("service", "api")]).await == Some(0.0)
    })
    .await;
    let expired = [("service", "api"), ("reason", "expired")];
    assert_eq!(sidekey.metric("sidekey_caller_tokens_ended_total", &expired).await, Some(1.0));
    assert!(number(&call(&sidekey, "alice").await, "alice") > 1);
}

#[tokio::test]
async fn token_in_use_is_renewed_before_it_expires() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let sidekey = serving(&upstream, &issuer, EXCHANGE, ", token_wait: 1ms").await;
    issuer.lifetime(4);
    assert_eventually(TIMEOUT, "there is a first token", async || {
        call(&sidekey, "alice").await.status == 200
    })
    .await;
    // No request waits: each would fail, because `token_wait` is too short for a token request.
    assert_eventually(TIMEOUT, "the third token", async || {
        let response = call(&sidekey, "alice").await;
        number(&response, "alice") >= 3
    })
    .await;
}

#[tokio::test]
async fn token_ends_with_that_of_the_caller() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let sidekey = serving(&upstream, &issuer, EXCHANGE, "").await;
    let expired = jwt(-1);
    assert_eq!(call(&sidekey, &expired).await.status, 401);
    assert_eq!(issuer.requests(), 0, "an expired token is not exchanged");
    let ending = jwt(3);
    assert_eq!(number(&call(&sidekey, &ending).await, &ending), 1);
    assert_eventually(TIMEOUT, "it ends", async || call(&sidekey, &ending).await.status == 401).await;
    assert_eq!(issuer.requests(), 1);
    let valid = jwt(600);
    assert_eq!(number(&call(&sidekey, &valid).await, &valid), 2);
}

#[tokio::test]
async fn revoked_caller_loses_its_token() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let sidekey = serving(&upstream, &issuer, EXCHANGE, "").await;
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1);
    issuer.refuse("alice", "invalid_grant");
    upstream.respond_with(|_| MockResponse::status(401));
    assert_eq!(call(&sidekey, "alice").await.status, 401);
    let calls = upstream.request_count();
    let response = call(&sidekey, "alice").await;
    assert_eq!((response.status, response.sidekey_error()), (401, Some("unauthenticated")));
    assert_eq!(upstream.request_count(), calls, "the token is not sent again");
    let refused = [("service", "api"), ("reason", "refused")];
    assert_eq!(sidekey.metric("sidekey_caller_tokens_ended_total", &refused).await, Some(1.0));
}
