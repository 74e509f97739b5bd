//! Secret rotation with overlap (`previous`): the upstream accepts the new secret later than Sidekey has it.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::harness::{MockResponse, MockUpstream, Request, Sidekey, TIMEOUT, assert_eventually};

const IN_USE: &str = "sidekey_previous_credential_in_use";

/// Name, `auth` with a new and a previous secret, and the header field with each of them.
const KINDS: [(&str, &str, &str, &str, &str); 4] = [
    (
        "basic",
        "type: basic, username: u, password: n3w-secret, previous: 0ld-secret",
        "authorization",
        "Basic dTpuM3ctc2VjcmV0",
        "Basic dTowbGQtc2VjcmV0",
    ),
    (
        "bearer",
        "type: bearer, token: n3w-secret, previous: 0ld-secret",
        "authorization",
        "Bearer n3w-secret",
        "Bearer 0ld-secret",
    ),
    (
        "header",
        "type: api_key, name: X-Api-Key, prefix: 'Key ', value: n3w-secret, previous: 0ld-secret",
        "x-api-key",
        "Key n3w-secret",
        "Key 0ld-secret",
    ),
    (
        "cookie",
        "type: api_key, in: cookie, name: k, value: n3w-secret, previous: 0ld-secret",
        "cookie",
        "k=n3w-secret",
        "k=0ld-secret",
    ),
];

/// An upstream that accepts the listed values of `field` and answers 401 to anything else.
async fn upstream_accepting(field: &'static str, accepted: &Arc<Mutex<Vec<&'static str>>>) -> MockUpstream {
    let (upstream, accepted) = (MockUpstream::plain().await, accepted.clone());
    upstream.respond_with(move |request| {
        let is_accepted = request.header(field).is_some_and(|value| accepted.lock().contains(&value));
        if is_accepted { MockResponse::ok("granted") } else { MockResponse::status(401).body("no") }
    });
    upstream
}

async fn previous_in_use(sidekey: &Sidekey) -> Option<f64> {
    sidekey.metric(IN_USE, &[("service", "api")]).await
}

/// Number of log messages that start with `start`.
fn lines(sidekey: &Sidekey, start: &str) -> usize {
    sidekey
        .events()
        .iter()
        .filter(|event| event["message"].as_str().is_some_and(|m| m.starts_with(start)))
        .count()
}

#[tokio::test]
async fn rotation_uses_previous_secret_until_new_one_is_accepted() {
    for (name, auth, field, new, old) in KINDS {
        let accepted = Arc::new(Mutex::new(vec![old]));
        let upstream = upstream_accepting(field, &accepted).await;
        let services = format!("api: {{ upstream: {}, auth: {{ {auth} }} }}", upstream.url());
        let sidekey = Sidekey::serving(&services).start_ready().await;
        assert_eq!(previous_in_use(&sidekey).await, Some(0.0), "{name}");
        let body = "x".repeat(20_000);
        for method in ["POST", "GET", "DELETE"] {
            let response = Request::new(method, sidekey.url("/api/x")).body(body.clone()).send().await;
            assert_eq!(response.text(), "granted", "{name}");
        }
        let sent = |upstream: &MockUpstream| -> Vec<_> {
            let value = |request: &crate::harness::RecordedRequest| request.header(field).map(str::to_owned);
            upstream.requests().iter().map(|request| (value(request).unwrap(), request.body.len())).collect()
        };
        let with = |value: &str| (value.to_owned(), 20_000);
        assert_eq!(sent(&upstream), [with(new), with(old), with(old), with(old)], "{name}");
        assert_eq!(previous_in_use(&sidekey).await, Some(1.0), "{name}");

        *accepted.lock() = vec![new];
        for _ in 0..3 {
            assert_eq!(sidekey.get("/api/x").await.text(), "granted", "{name}");
        }
        let last: Vec<_> = sent(&upstream).split_off(4).into_iter().map(|(value, _)| value).collect();
        assert_eq!(last, [old, new, new, new], "{name}: one 401, which the caller does not see");
        assert_eq!(previous_in_use(&sidekey).await, Some(0.0), "{name}");
        for event in ["the upstream rejects the new secret", "the upstream accepts the new secret"] {
            // The log is read by another task than the responses.
            assert_eventually(TIMEOUT, event, async || lines(&sidekey, event) > 0).await;
            assert_eq!(lines(&sidekey, event), 1, "{name}: {event}");
        }
        assert!(!sidekey.log().contains("-secret"), "{name}");
    }
}

#[tokio::test]
async fn rotation_does_not_retry_body_larger_than_buffer() {
    let (_, auth, field, _, old) = KINDS[1];
    let upstream = upstream_accepting(field, &Arc::new(Mutex::new(vec![old]))).await;
    let services = format!("api: {{ upstream: {}, auth: {{ {auth} }} }}", upstream.url());
    let sidekey = Sidekey::serving(&services).start_ready().await;
    let large = || Request::new("POST", sidekey.url("/api/x")).body("x".repeat(200_000)).send();
    assert_eq!(large().await.status, 401);
    assert_eq!(previous_in_use(&sidekey).await, Some(0.0));
    assert_eq!(sidekey.get("/api/x").await.text(), "granted");
    assert_eq!(large().await.text(), "granted", "the small request has found the accepted secret");
    assert_eq!(upstream.request_count(), 4);
}

#[tokio::test]
async fn rotation_ignores_failures_other_than_401() {
    let upstream = MockUpstream::plain().await;
    for answer in [401, 503, 401, 429, 401, 204] {
        upstream.next(MockResponse::status(answer));
    }
    let services = format!("api: {{ upstream: {}, auth: {{ {} }} }}", upstream.url(), KINDS[1].1);
    let sidekey = Sidekey::serving(&services).start_ready().await;
    for (status, metric) in [(503, 0.0), (429, 0.0), (204, 1.0)] {
        assert_eq!(sidekey.get("/api/x").await.status, status);
        assert_eq!(previous_in_use(&sidekey).await, Some(metric), "{status}");
    }
}

#[tokio::test]
async fn rotation_metric_exists_only_with_previous_secret() {
    let upstream = MockUpstream::plain().await;
    let service = |auth: &str| format!("api: {{ upstream: {}, auth: {{ {auth} }} }}", upstream.url());
    let sidekey = Sidekey::serving(&service(KINDS[1].1)).start_ready().await;
    assert_eq!(previous_in_use(&sidekey).await, Some(0.0));
    sidekey.reconfigure(&Sidekey::configuration_serving(&service("type: bearer, token: n3w-secret")));
    assert!(sidekey.reload().await);
    assert!(!sidekey.metrics().await.contains(IN_USE));
}

#[tokio::test]
async fn rotation_retries_rarely_if_both_secrets_are_rejected() {
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let upstream = upstream_accepting("authorization", &accepted).await;
    let auth = "type: bearer, token: n3w-secret, previous: 0ld-secret";
    let services = format!("api: {{ upstream: {}, auth: {{ {auth} }} }}", upstream.url());
    let sidekey = Sidekey::serving(&services).start_ready().await;
    let count = 200;
    for _ in 0..count {
        let response = sidekey.get("/api/x").await;
        assert_eq!((response.status, response.text().as_str()), (401, "no"));
    }
    // One request in five seconds is sent with both secrets; the loop is over long before there are 40 of
    // those.
    let seen = upstream.request_count();
    assert!((count + 1..count + 40).contains(&seen), "{seen} requests for {count}");
    assert_eq!(previous_in_use(&sidekey).await, Some(0.0));
    let replays =
        sidekey.metric("sidekey_upstream_retries_total", &[("result", "unauthorized")]).await.unwrap();
    assert!((replays - f64::from(u32::try_from(seen - count).unwrap())).abs() < 0.5, "{replays}");
    // Once the upstream accepts one of them, it is used within the same time.
    *accepted.lock() = vec!["Bearer 0ld-secret"];
    let granted = async || sidekey.get("/api/x").await.text() == "granted";
    assert_eventually(std::time::Duration::from_secs(30), "the accepted secret is found", granted).await;
    assert_eq!(previous_in_use(&sidekey).await, Some(1.0));
    assert!(granted().await, "and used");
}
