//! `{ aws_secrets_manager: … }` against a scripted store, with keys of a container that end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::{
    MockResponse, MockUpstream, RecordedRequest, Request, Sidekey, TIMEOUT, assert_eventually,
};

/// The endpoint of a container, which gives another key each time.
async fn container() -> MockUpstream {
    let container = MockUpstream::plain().await;
    let count = AtomicUsize::new(0);
    container.respond_with(move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600;
        let end = chrono::DateTime::from_timestamp(i64::try_from(end).unwrap(), 0).unwrap();
        MockResponse::json(&json!({
            "AccessKeyId": format!("ASIAEXAMPLE{number}"), "SecretAccessKey": "CANARY-secret-key",
            "Token": format!("CANARY-session-{number}"), "Expiration": end.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }))
    });
    container
}

fn answered(status: u16, body: &Value) -> MockResponse {
    MockResponse::status(status).body(body.to_string()).header("Content-Type", "application/x-amz-json-1.1")
}

fn secret(request: &RecordedRequest, value: &str) -> MockResponse {
    assert_eq!(request.header("x-amz-target"), Some("secretsmanager.GetSecretValue"));
    assert!(
        request
            .header("authorization")
            .is_some_and(|it| it.contains("/eu-west-1/secretsmanager/aws4_request"))
    );
    let asked: Value = serde_json::from_slice(&request.body).unwrap();
    match asked["SecretId"].as_str().unwrap() {
        "prod/crm" => {
            let text = json!({ "user": "me", "token": value }).to_string();
            answered(200, &json!({ "Name": "prod/crm", "SecretString": text }))
        }
        "plain" if asked["VersionStage"] == "AWSPREVIOUS" => {
            answered(200, &json!({ "SecretBinary": "YmluYXJ5" }))
        }
        "plain" => answered(200, &json!({ "SecretString": "text" })),
        _ => answered(
            400,
            &json!({ "__type": "ResourceNotFoundException", "Message": "Secrets Manager can't find the secret." }),
        ),
    }
}

fn configuration(store: &MockUpstream, container: &MockUpstream, services: &str) -> String {
    format!(
        "reload: {{ interval: 100ms }}\nsecret_stores: {{ aws: {{ type: aws_secrets_manager, region: eu-west-1, url: '{}', \
         refresh_interval: 1s, credentials: {{ from: container, url: '{}/keys' }} }} }}\n{}",
        store.url(),
        container.url(),
        Sidekey::configuration_serving(services)
    )
}

fn bearer(name: &str, upstream: &MockUpstream, secret: &str) -> String {
    format!(
        "{name}: {{ upstream: '{}', auth: {{ type: bearer, token: {{ aws_secrets_manager: {secret} }} }} }}\n",
        upstream.url()
    )
}

async fn assert_sends(sidekey: &Sidekey, upstream: &MockUpstream, service: &str, token: &str) {
    assert_eventually(TIMEOUT, &format!("{token} is sent"), async || {
        let status = sidekey.get(&format!("/{service}/x")).await.status;
        status == 200 && upstream.last_request().header("authorization") == Some(&format!("Bearer {token}"))
    })
    .await;
}

async fn config_state(sidekey: &Sidekey) -> Value {
    Request::get(sidekey.admin_url("/api/v1/services")).send().await.json()["config"].clone()
}

#[tokio::test]
async fn secrets_are_read_with_keys_that_are_replaced() {
    let (store, container, upstream) =
        (MockUpstream::plain().await, container().await, MockUpstream::plain().await);
    let valid = Arc::new(AtomicUsize::new(1));
    let of_store = valid.clone();
    store.respond_with(move |request| {
        let valid = of_store.load(Ordering::Relaxed);
        if request.header("x-amz-security-token") != Some(&format!("CANARY-session-{valid}")) {
            let said = "The security token included in the request is expired: CANARY-session-1";
            return answered(400, &json!({ "__type": "com.amazon#ExpiredTokenException", "message": said }));
        }
        secret(request, &format!("token-{valid}"))
    });
    let services = bearer("crm", &upstream, "{ id: prod/crm, field: token }")
        + &bearer("user", &upstream, "{ id: prod/crm, field: user }")
        + &bearer("plain", &upstream, "{ id: plain, refresh_interval: 1h }")
        + &bearer("binary", &upstream, "{ id: plain, version_stage: AWSPREVIOUS, store: aws }");
    let sidekey = Sidekey::configured(&configuration(&store, &container, &services)).start_ready().await;
    for (service, token) in [("crm", "token-1"), ("user", "me"), ("plain", "text"), ("binary", "binary")] {
        assert_sends(&sidekey, &upstream, service, token).await;
    }
    assert_eq!(container.request_count(), 1, "one key for all secrets");
    // As if the key had been revoked.
    valid.store(2, Ordering::Relaxed);
    assert_sends(&sidekey, &upstream, "crm", "token-2").await;
    assert_eq!(container.request_count(), 2);
    let said = format!("{}{}", sidekey.log(), sidekey.metrics().await);
    assert!(!said.contains("CANARY") && !said.contains("secret source failed"), "{said}");
}

#[tokio::test]
async fn secret_is_stale_while_the_store_throttles_or_refuses() {
    let (store, container, upstream) =
        (MockUpstream::plain().await, container().await, MockUpstream::plain().await);
    store.respond_with(|request| secret(request, "one"));
    let services = bearer("crm", &upstream, "{ id: prod/crm, field: token }");
    let sidekey = Sidekey::configured(&configuration(&store, &container, &services)).start_ready().await;
    for (status, kind, said) in [
        (400, "ThrottlingException", "ThrottlingException Rate exceeded"),
        (400, "AccessDeniedException", "`secretsmanager:GetSecretValue`"),
        (500, "InternalServiceError", "answered 500"),
    ] {
        store.always(answered(status, &json!({ "__type": kind, "Message": "Rate exceeded" })));
        let is_said = async || {
            let stale = config_state(&sidekey).await["stale_secrets"].clone();
            stale[0]["error"].as_str().is_some_and(|error| error.contains(said))
        };
        assert_eventually(TIMEOUT, said, is_said).await;
        assert_sends(&sidekey, &upstream, "crm", "one").await;
    }
    store.respond_with(|request| secret(request, "two"));
    assert_sends(&sidekey, &upstream, "crm", "two").await;
    assert_eq!(sidekey.metric("sidekey_stale_secrets", &[]).await, Some(0.0));
    let missing = services + &bearer("other", &upstream, "{ id: CANARY-name }");
    sidekey.reconfigure(&configuration(&store, &container, &missing));
    let problem = async || config_state(&sidekey).await["problems"].to_string();
    let is_said = async || problem().await.contains("there is no such secret");
    assert_eventually(TIMEOUT, "the missing secret is named", is_said).await;
    assert!(problem().await.contains("services.other.auth.token"), "{}", problem().await);
    assert!(!sidekey.log().contains("CANARY"), "{}", sidekey.log());
}
