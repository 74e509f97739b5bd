//! `type: digest` against Apache's mod_auth_digest and httpbin, which implement it independently.

use crate::harness::{Apache, Httpbin, Pki, Request, Sidekey, TIMEOUT, assert_eventually};

fn service(apache: &Apache, more: &str) -> String {
    format!(
        "store: {{ upstream: '{}', auth: {{ type: digest, username: svc, password: 'Circle of Life'{more} }} }}",
        apache.url()
    )
}

/// Asserts what Apache has answered. It writes its log after a response.
async fn assert_seen(apache: &Apache, expected: &str) {
    let count = expected.split(", ").count();
    assert_eventually(TIMEOUT, expected, async || apache.requests().len() >= count).await;
    assert_eq!(apache.requests().join(", "), expected);
}

#[tokio::test]
async fn apache_gets_one_request_without_an_answer() {
    let apache = Apache::start("").await;
    let sidekey = Sidekey::serving(&service(&apache, "")).start_ready().await;
    let body = "x".repeat(30_000);
    let put = Request::new("PUT", sidekey.url("/store/a%20b?x=\"1\"")).body(body.clone()).send().await;
    assert_eq!(put.status, 201, "{}", apache.log());
    assert_eq!(apache.stored("a b"), body.as_bytes());
    for _ in 0..3 {
        assert_eq!(sidekey.get("/store/a%20b").await.text(), body);
    }
    let own =
        Request::new("DELETE", sidekey.url("/store/a%20b")).header("Authorization", "Digest username=\"x\"");
    assert_eq!(own.send().await.status, 204, "the caller's own field is replaced");
    assert_seen(&apache, "401 PUT, 201 PUT, 200 GET, 200 GET, 200 GET, 204 DELETE").await;
    let retries = [("service", "store"), ("reason", "unauthorized"), ("result", "success")];
    assert_eq!(sidekey.metric("sidekey_upstream_retries_total", &retries).await, Some(1.0));
}

#[tokio::test]
async fn apache_accepts_a_large_upload_as_the_first_request() {
    let apache = Apache::start("").await;
    let sidekey = Sidekey::serving(&service(&apache, "")).start_ready().await;
    let body = "x".repeat(3_000_000);
    let put = Request::new("PUT", sidekey.url("/store/large")).body(body.clone()).send().await;
    assert_eq!(put.status, 201, "{}", apache.log());
    assert_eq!(apache.stored("large"), body.as_bytes());
    assert_seen(&apache, "401 HEAD, 201 PUT").await;
}

#[tokio::test]
async fn apache_nonce_that_is_stale_is_replaced_unnoticed() {
    let apache = Apache::start("AuthDigestNonceLifetime 1").await;
    let sidekey = Sidekey::serving(&service(&apache, ", realm: the store")).start_ready().await;
    let count = |apache: &Apache| apache.requests().iter().filter(|line| line.starts_with("401")).count();
    assert_eventually(TIMEOUT, "Apache has called the nonce stale twice", async || {
        assert_ne!(sidekey.get("/store/").await.status, 401);
        count(&apache) >= 3
    })
    .await;
}

#[tokio::test]
async fn apache_gives_the_next_nonce_with_each_response() {
    // A nonce is for one request. Apache gives the next one in Authentication-Info.
    let apache = Apache::start("AuthDigestNonceLifetime 0").await;
    let sidekey = Sidekey::serving(&service(&apache, "")).start_ready().await;
    assert_eq!(Request::new("PUT", sidekey.url("/store/a")).body("a").send().await.status, 201);
    for _ in 0..5 {
        assert_eq!(sidekey.get("/store/a").await.text(), "a");
    }
    assert_seen(&apache, &format!("401 PUT, 201 PUT{}", ", 200 GET".repeat(5))).await;
}

#[tokio::test]
async fn apache_rejects_a_wrong_password_once_for_a_request() {
    let apache = Apache::start("").await;
    let services = service(&apache, "").replace("Life", "Strife");
    let sidekey = Sidekey::serving(&services).start_ready().await;
    for _ in 0..3 {
        let response = sidekey.get("/store/a").await;
        assert_eq!((response.status, response.sidekey_error()), (401, None));
    }
    assert_seen(&apache, "401 GET, 401 GET, 401 GET, 401 GET").await;
}

#[tokio::test]
async fn apache_accepts_the_previous_password_from_the_first_request() {
    let apache = Apache::start("").await;
    let services = service(&apache, ", previous: 'Circle of Life'").replacen("Life", "Strife", 1);
    let sidekey = Sidekey::serving(&services).start_ready().await;
    for _ in 0..3 {
        assert_eq!(sidekey.get("/store/a").await.status, 404);
    }
    assert_seen(&apache, "401 GET, 401 GET, 404 GET, 404 GET, 404 GET").await;
    let in_use = sidekey.metric("sidekey_previous_credential_in_use", &[("service", "store")]).await;
    assert_eq!(in_use, Some(1.0));
}

#[tokio::test]
async fn httpbin_accepts_each_algorithm_over_both_versions() {
    let pki = Pki::new();
    let httpbin = Httpbin::start(&pki).await;
    let service = |name: &str, algorithm: &str| {
        let (url, ca) = (httpbin.url(), pki.ca_file());
        format!(
            "{name}: {{ upstream: '{url}', tls: {{ ca_file: '{ca}' }}, \
             auth: {{ type: digest, username: svc, password: s3cret, algorithms: {algorithm} }} }}\n"
        )
    };
    let services = service("md5", "md5") + &service("sha", "sha-256") + &service("int", "md5");
    let sidekey = Sidekey::serving(&services).start().await;
    for (name, algorithm) in [("md5", "MD5"), ("sha", "SHA-256")] {
        let url = sidekey.url(&format!("/{name}/digest-auth/auth/svc/s3cret/{algorithm}"));
        for request in [Request::get(&url), Request::get(&url).over_http2(), Request::get(&url)] {
            let answer = request.send().await;
            assert_eq!(answer.status, 200, "{algorithm}: {}", answer.text());
            assert!(answer.text().contains("\"authenticated\""), "{}", answer.text());
        }
    }
    let integrity = sidekey.get("/int/digest-auth/auth-int/svc/s3cret/MD5").await;
    assert_eq!(integrity.status, 401, "bodies are not hashed");
    let event = sidekey.logged_like("the upstream's challenge cannot be answered").await;
    assert!(event["reason"].as_str().unwrap().contains("auth-int"), "{event}");
}
