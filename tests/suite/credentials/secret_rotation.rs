//! A rotation with overlap: the upstream learns of the new secret later than Sidekey does.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::harness::{Answer, Call, Sidekey, Upstream, assert_eventually};

const IN_USE: &str = "sidekey_previous_credential_in_use";

/// Name, `auth` with a new and a previous secret, and the field that each of them makes.
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

/// An upstream that takes what is in the list, as the value of `field`, and answers 401 to anything else.
async fn taking(field: &'static str, taken: &Arc<Mutex<Vec<&'static str>>>) -> Upstream {
    let (upstream, taken) = (Upstream::plain().await, taken.clone());
    upstream.answer_with(move |request| {
        let is_taken = request.header(field).is_some_and(|value| taken.lock().contains(&value));
        if is_taken { Answer::ok("granted") } else { Answer::status(401).body("no") }
    });
    upstream
}

async fn in_use(sidekey: &Sidekey) -> Option<f64> {
    sidekey.metric(IN_USE, &[("service", "api")]).await
}

/// How many lines of the log begin so.
fn lines(sidekey: &Sidekey, start: &str) -> usize {
    sidekey
        .events()
        .iter()
        .filter(|event| event["message"].as_str().is_some_and(|m| m.starts_with(start)))
        .count()
}

#[tokio::test]
async fn the_previous_secret_is_used_until_the_upstream_takes_the_new_one() {
    for (name, auth, field, new, old) in KINDS {
        let taken = Arc::new(Mutex::new(vec![old]));
        let upstream = taking(field, &taken).await;
        let services = format!("api: {{ upstream: {}, auth: {{ {auth} }} }}", upstream.url());
        let sidekey = Sidekey::serving(&services).start_ready().await;
        assert_eq!(in_use(&sidekey).await, Some(0.0), "{name}");
        let body = "x".repeat(20_000);
        for method in ["POST", "GET", "DELETE"] {
            let response = Call::new(method, sidekey.url("/api/x")).body(body.clone()).send().await;
            assert_eq!(response.text(), "granted", "{name}");
        }
        let sent = |upstream: &Upstream| -> Vec<_> {
            let value = |request: &crate::harness::Request| request.header(field).map(str::to_owned);
            upstream.requests().iter().map(|request| (value(request).unwrap(), request.body.len())).collect()
        };
        let with = |value: &str| (value.to_owned(), 20_000);
        assert_eq!(sent(&upstream), [with(new), with(old), with(old), with(old)], "{name}");
        assert_eq!(in_use(&sidekey).await, Some(1.0), "{name}");

        *taken.lock() = vec![new];
        for _ in 0..3 {
            assert_eq!(sidekey.get("/api/x").await.text(), "granted", "{name}");
        }
        let last: Vec<_> = sent(&upstream).split_off(4).into_iter().map(|(value, _)| value).collect();
        assert_eq!(last, [old, new, new, new], "{name}: one 401, which the caller does not see");
        assert_eq!(in_use(&sidekey).await, Some(0.0), "{name}");
        assert_eq!(lines(&sidekey, "the upstream rejects the new secret"), 1, "{name}");
        assert_eq!(lines(&sidekey, "the upstream accepts the new secret"), 1, "{name}");
        assert!(!sidekey.log().contains("-secret"), "{name}");
    }
}

#[tokio::test]
async fn what_does_not_fit_the_buffer_is_not_sent_again_and_teaches_nothing() {
    let (_, auth, field, _, old) = KINDS[1];
    let upstream = taking(field, &Arc::new(Mutex::new(vec![old]))).await;
    let services = format!("api: {{ upstream: {}, auth: {{ {auth} }} }}", upstream.url());
    let sidekey = Sidekey::serving(&services).start_ready().await;
    let large = || Call::new("POST", sidekey.url("/api/x")).body("x".repeat(200_000)).send();
    assert_eq!(large().await.status, 401);
    assert_eq!(in_use(&sidekey).await, Some(0.0));
    assert_eq!(sidekey.get("/api/x").await.text(), "granted");
    assert_eq!(large().await.text(), "granted", "the small one has found out");
    assert_eq!(upstream.request_count(), 4);
}

#[tokio::test]
async fn a_failure_of_the_upstream_says_nothing_of_the_secret() {
    let upstream = Upstream::plain().await;
    for answer in [401, 503, 401, 429, 401, 204] {
        upstream.next(Answer::status(answer));
    }
    let services = format!("api: {{ upstream: {}, auth: {{ {} }} }}", upstream.url(), KINDS[1].1);
    let sidekey = Sidekey::serving(&services).start_ready().await;
    for (status, metric) in [(503, 0.0), (429, 0.0), (204, 1.0)] {
        assert_eq!(sidekey.get("/api/x").await.status, status);
        assert_eq!(in_use(&sidekey).await, Some(metric), "{status}");
    }
}

#[tokio::test]
async fn only_a_service_with_a_previous_secret_has_the_series() {
    let upstream = Upstream::plain().await;
    let service = |auth: &str| format!("api: {{ upstream: {}, auth: {{ {auth} }} }}", upstream.url());
    let sidekey = Sidekey::serving(&service(KINDS[1].1)).start_ready().await;
    assert_eq!(in_use(&sidekey).await, Some(0.0));
    sidekey.reconfigure(&Sidekey::configuration_serving(&service("type: bearer, token: n3w-secret")));
    assert!(sidekey.reload().await);
    assert!(!sidekey.metrics().await.contains(IN_USE));
}

#[tokio::test]
async fn an_upstream_that_refuses_both_does_not_get_every_request_twice() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let upstream = taking("authorization", &taken).await;
    let auth = "type: bearer, token: n3w-secret, previous: 0ld-secret";
    let services = format!("api: {{ upstream: {}, auth: {{ {auth} }} }}", upstream.url());
    let sidekey = Sidekey::serving(&services).start_ready().await;
    let count = 200;
    for _ in 0..count {
        let response = sidekey.get("/api/x").await;
        assert_eq!((response.status, response.text().as_str()), (401, "no"));
    }
    // One in five seconds is sent with both, which even a slow machine is not busy with for minutes.
    let seen = upstream.request_count();
    assert!((count + 1..count + 40).contains(&seen), "{seen} requests for {count}");
    assert_eq!(in_use(&sidekey).await, Some(0.0));
    let replays =
        sidekey.metric("sidekey_upstream_retries_total", &[("result", "unauthorized")]).await.unwrap();
    assert!((replays - f64::from(u32::try_from(seen - count).unwrap())).abs() < 0.5, "{replays}");
    // Once the upstream takes one of them, the callers have it within the same time.
    *taken.lock() = vec!["Bearer 0ld-secret"];
    let granted = async || sidekey.get("/api/x").await.text() == "granted";
    assert_eventually(std::time::Duration::from_secs(30), "it is found out", granted).await;
    assert_eq!(in_use(&sidekey).await, Some(1.0));
    assert!(granted().await, "and used");
}
