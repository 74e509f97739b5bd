//! `type: kubernetes` against a fake that holds the rules of an API server for service-account tokens.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;

use super::setup::{bearer, command, now, unsigned, why_not_ready};
use crate::harness::{
    MockResponse, MockUpstream, SecretMount, Sidekey, TIMEOUT, UpdateStyle, assert_eventually,
};

/// An API that accepts one token at a time.
async fn api() -> (MockUpstream, Arc<Mutex<String>>) {
    let (api, accepted) = (MockUpstream::plain().await, Arc::new(Mutex::new(String::new())));
    let of_fake = accepted.clone();
    api.respond_with(move |request| match bearer(request) {
        Some(token) if *token == **of_fake.lock() => MockResponse::ok("pods"),
        _ => MockResponse::status(401).body("{\"kind\":\"Status\",\"reason\":\"Unauthorized\"}"),
    });
    (api, accepted)
}

fn service(api: &MockUpstream, file: &str) -> String {
    format!(
        "k8s: {{ upstream: '{}', token_wait: 1s, auth: {{ type: kubernetes, token_file: '{file}' }} }}",
        api.url()
    )
}

fn token(name: &str, seconds: i64) -> String {
    unsigned(json!({ "aud": ["https://kubernetes.default.svc"], "sub": name }), seconds)
}

#[tokio::test]
async fn projected_token_is_sent_and_read_again_when_it_changes() {
    let (api, accepted) = api().await;
    let (first, second) = (token("first", 3600), token("second", 3600));
    let mount = SecretMount::new(UpdateStyle::Symlink, &[("token", &first)]);
    *accepted.lock() = first.clone();
    let sidekey = Sidekey::serving(&service(&api, &format!("{}/token", mount.path()))).start_ready().await;
    assert_eq!(sidekey.get("/k8s/api/v1/pods").await.text(), "pods");
    let end = sidekey.metric("sidekey_token_expiry_timestamp_seconds", &[("service", "k8s")]).await.unwrap();
    assert!((end - (now().as_secs_f64() + 3600.0)).abs() < 10.0, "the end is `exp` of the token: {end}");

    // Without any request, and without a signal.
    mount.replace(&[("token", &second)], async || ()).await;
    let read = async || {
        let labels = [("service", "k8s"), ("result", "success"), ("reason", "")];
        sidekey.metric("sidekey_token_requests_total", &labels).await == Some(2.0)
    };
    assert_eventually(TIMEOUT, "the file is read again", read).await;
    *accepted.lock() = second;
    assert_eq!(sidekey.get("/k8s/api/v1/pods").await.text(), "pods");
    assert_eq!(api.requests().len(), 2, "no request was rejected");
    let shown = sidekey.log() + &sidekey.metrics().await;
    assert!(!shown.contains("CANARY") && !shown.contains(&first));
}

#[tokio::test]
async fn token_that_the_api_rejects_is_read_again_at_once() {
    let (api, accepted) = api().await;
    let (first, second) = (token("first", 3600), token("second", 3600));
    *accepted.lock() = second.clone();
    let sidekey = Sidekey::serving(&service(&api, "$DIR/token")).file("token", &first).start_ready().await;
    sidekey.write("token", &second);
    let granted = async || sidekey.get("/k8s/api/v1/pods").await.text() == "pods";
    assert_eventually(TIMEOUT, "the request is sent again with the new token", granted).await;
}

#[tokio::test]
async fn expired_projected_token_is_not_sent() {
    let (api, accepted) = api().await;
    let short = token("short", 3);
    *accepted.lock() = short.clone();
    let sidekey = Sidekey::serving(&service(&api, "$DIR/token")).file("token", &short).start_ready().await;
    let named = async || why_not_ready(&sidekey).await.contains("cannot be used: it expired ");
    assert_eventually(TIMEOUT, "the token has expired", named).await;
    let before = api.request_count();
    assert_eq!(sidekey.get("/k8s/api/v1/pods").await.status, 503);
    assert_eq!(api.request_count(), before);
    sidekey.write("token", &token("next", 3600));
    sidekey.ready().await;
}

#[tokio::test]
async fn rejection_by_the_cluster_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, token("a", 600)).unwrap();
    let api = MockUpstream::plain().await;
    let service = service(&api, file.to_str().unwrap());
    for (status, said) in [(401, "Is the token for this API?"), (403, "RBAC does not allow the request")] {
        api.always(MockResponse::status(status));
        let (code, printed) = command(&["test", "k8s", "/api"], &service, &[]).await;
        assert!(code != 0 && printed.contains(said) && !printed.contains("CANARY"), "{printed}");
    }
}

#[tokio::test]
async fn kubernetes_outside_of_a_pod_is_an_error() {
    let service = "k8s: { upstream: 'https://kubernetes.default.svc', auth: { type: kubernetes } }";
    let (code, printed) = command(&["check"], service, &[]).await;
    assert_eq!(code, 78, "{printed}");
    let file = "cannot read the file /var/run/secrets/kubernetes.io/serviceaccount/token";
    assert!(printed.contains(file), "{printed}");
}
