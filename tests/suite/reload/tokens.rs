//! Tokens over a reload: kept if the credential is unchanged, fetched at once if its secret has changed,
//! never used for another identity.

use std::time::Duration;

use super::setup::config;
use crate::harness::{
    Gate, MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey, TIMEOUT, assert_eventually,
};
use crate::suite::oauth2::setup::service;

async fn sent(sidekey: &Sidekey, upstream: &MockUpstream) -> String {
    let response = sidekey.get("/crm/x").await;
    assert_eq!(response.status, 200, "{}", response.text());
    upstream.last_request().header("authorization").unwrap().to_owned()
}

#[tokio::test]
async fn token_is_kept_if_the_credential_is_unchanged() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let crm = |more: &str| config(&service("crm", &upstream, &tokens, "", more));
    let sidekey = Sidekey::configured(&crm("")).start_ready().await;
    let token = sent(&sidekey, &upstream).await;
    for more in ["readiness: never,", "timeouts: { idle: 9s },", "hosts: [crm.internal],", ""] {
        sidekey.reconfigure(&crm(more));
        assert!(sidekey.reload().await);
        assert_eq!(sent(&sidekey, &upstream).await, token, "{more}");
    }
    // A second service shares it and has its own series.
    let both = service("crm", &upstream, &tokens, "", "") + &service("too", &upstream, &tokens, "", "");
    sidekey.reconfigure(&config(&both));
    assert!(sidekey.reload().await);
    assert_eq!(sidekey.get("/too/x").await.status, 200);
    assert_eq!(tokens.request_count(), 1);
    assert!(
        sidekey.metric("sidekey_token_expiry_timestamp_seconds", &[("service", "too")]).await > Some(0.0)
    );
}

#[tokio::test]
async fn client_secret_change_fetches_a_new_token_at_once() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let text = service("crm", &upstream, &tokens, "", "").replace("s3cret", "{ file: $DIR/secret }");
    let sidekey = Sidekey::configured(&config(&text)).file("secret", "one").start_ready().await;
    let old = sent(&sidekey, &upstream).await;
    let gate = Gate::closed();
    tokens.next(MockTokenResponse::issue(3600).delayed_until(&gate));
    sidekey.write("secret", "two");
    assert!(sidekey.reload().await);
    tokens.received(2).await;
    assert!(tokens.requests()[1].basic().unwrap().ends_with(":two"));
    assert_eq!(sent(&sidekey, &upstream).await, old, "while the new one is on its way");
    gate.open();
    assert_eventually(TIMEOUT, "the new token is sent", async || sent(&sidekey, &upstream).await != old)
        .await;
    assert_eq!(tokens.request_count(), 2);
}

#[tokio::test]
async fn rejected_credential_is_retried_if_its_secret_changes() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    tokens.always(MockTokenResponse::error(401, "invalid_client"));
    let text =
        service("crm", &upstream, &tokens, "", "token_wait: 0s,").replace("s3cret", "{ file: $DIR/secret }");
    let sidekey = Sidekey::configured(&config(&text)).file("secret", "wrong").start().await;
    tokens.received(1).await;
    assert_eventually(TIMEOUT, "the token request is rejected", async || {
        sidekey.get("/crm/x").await.status == 503
    })
    .await;
    tokens.always(MockTokenResponse::issue(3600));
    sidekey.write("secret", "right");
    assert!(sidekey.reload().await);
    // After a rejection the back-off is five seconds at first, and later five minutes.
    let ready = tokio::time::timeout(Duration::from_secs(4), sidekey.ready());
    ready.await.expect("before the back-off has passed");
}

#[tokio::test]
async fn token_of_another_identity_is_not_used() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let crm =
        |client: &str| config(&service("crm", &upstream, &tokens, "", "").replace("client_id: me", client));
    let sidekey = Sidekey::configured(&crm("client_id: me")).start_ready().await;
    let old = sent(&sidekey, &upstream).await;
    let gate = Gate::closed();
    tokens.next(MockTokenResponse::issue(3600).delayed_until(&gate));
    sidekey.reconfigure(&crm("client_id: you"));
    assert!(sidekey.reload().await);
    let request = tokio::spawn({
        let url = sidekey.url("/crm/x");
        async move { crate::harness::Request::get(url).send().await }
    });
    tokens.received(2).await;
    gate.open();
    assert_eq!(request.await.unwrap().status, 200, "the request waited for the first token");
    assert_ne!(upstream.last_request().header("authorization"), Some(old.as_str()));
    assert_eq!(upstream.request_count(), 2);
}
