//! Requests that no API server sends: anybody who reaches the port can send them.

use std::process::Command;

use serde_json::{Value, json};

use super::setup::Replica;
use crate::harness::{Connection, Curl, Pki, Request, run};

const NAME: &str = "sidekey-webhook.sidekey.svc";

struct Target {
    webhook: Replica,
    ca_file: String,
    port: u16,
    _pki: Pki,
}

impl Target {
    async fn start() -> Self {
        let pki = Pki::new();
        let files = pki.server_files(&[NAME]);
        let webhook = Replica::with_files(&files.certificate, &files.key, &["--namespace", "sidekey"]).await;
        let port = webhook.address().rsplit_once(':').unwrap().1.parse().unwrap();
        Self { webhook, ca_file: pki.ca_file(), port, _pki: pki }
    }

    async fn send(&self, path: &str, options: &[&str], body: &[u8]) -> Curl {
        let url = format!("https://{NAME}:{}{path}", self.port);
        let resolve = format!("{NAME}:{}:127.0.0.1", self.port);
        let fixed = [
            "--cacert",
            &self.ca_file,
            "--resolve",
            &resolve,
            "--data-binary",
            "@-",
            "--header",
            "Expect:",
            &url,
        ];
        Curl::call(&[&fixed, options].concat(), body).await
    }

    async fn review(&self, body: &[u8]) -> Curl {
        self.send("/inject", &["--header", "Content-Type: application/json"], body).await
    }
}

fn review() -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u-1", "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "operation": "CREATE", "namespace": "shop",
            "object": { "metadata": { "name": "app" }, "spec": { "containers": [{ "name": "app" }] } },
        },
    })
}

#[tokio::test]
async fn hostile_review_gets_a_clear_error() {
    let target = Target::start().await;
    let text = review().to_string();
    assert_eq!(target.review(text.as_bytes()).await.status, 200);
    let nested =
        |depth| text.replace("{\"name\":\"app\"}]", &format!("{}1{}]", "[".repeat(depth), "]".repeat(depth)));
    for (body, expected) in [
        (String::new(), "not a review"),
        (text[..100].to_owned(), "not a review"),
        (nested(100_000), "recursion limit exceeded"),
        (
            text.replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1"),
            "expected AdmissionReview of admission.k8s.io/v1,",
        ),
        (text.replace("u-1", ""), "no usable `uid`"),
    ] {
        let answer = target.review(body.as_bytes()).await;
        assert!(
            answer.status == 400 && answer.text().contains(expected),
            "{} {}",
            answer.status,
            answer.text()
        );
        assert!(answer.text().starts_with("sidekey: ") && answer.text().len() < 400);
    }
    for (body, expected) in [
        (
            text.replace("\"version\":\"v1\",\"kind\"", "\"version\":\"v9\",\"kind\"")
                .replace("\"kind\":\"Pod\"", "\"kind\":\"Node\""),
            "expected a Pod",
        ),
        (text.replace("CREATE", "DELETE"), "expected the operation CREATE"),
    ] {
        let answer: Value = serde_json::from_slice(&target.review(body.as_bytes()).await.body).unwrap();
        let response = &answer["response"];
        assert_eq!((&response["uid"], &response["allowed"]), (&json!("u-1"), &json!(false)), "{answer}");
        assert!(response["status"]["message"].as_str().unwrap().contains(expected), "{answer}");
    }
    // A pod in a form that the API server would not send.
    for spec in [
        json!(null),
        json!([]),
        json!({ "containers": "x" }),
        json!({ "containers": [1] }),
        json!({ "containers": [{ "name": 1, "env": {} }] }),
    ] {
        let mut review = review();
        review["request"]["object"]["spec"] = spec.clone();
        let answer = target.review(review.to_string().as_bytes()).await;
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer["response"]["uid"], "u-1", "{spec}");
    }
    assert_eq!(target.webhook.reviews("malformed").await, 7);
}

#[tokio::test]
async fn only_reviews_are_answered_and_their_size_is_limited() {
    let target = Target::start().await;
    let text = review().to_string();
    assert_eq!(target.send("/", &[], b"{}").await.status, 404);
    assert_eq!(target.send("/metrics", &[], b"").await.status, 404);
    assert_eq!(target.send("/inject", &["--request", "GET"], b"").await.status, 405);
    let form = target.send("/inject", &["--header", "Content-Type: text/plain"], text.as_bytes()).await;
    assert_eq!(form.status, 415);
    let large = |bytes: usize| text.replace("\"shop\"", &format!("\"{}\"", "a".repeat(bytes)));
    assert_eq!(target.review(large(1 << 20).as_bytes()).await.status, 200);
    assert_eq!(target.review(large(2 << 20).as_bytes()).await.status, 413);
    // Neither is there anything without TLS, or by HTTP/2.
    let mut plain = Connection::open(target.webhook.address().parse().unwrap()).await;
    plain.send(b"POST /inject HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(!plain.rest().await.starts_with(b"HTTP/"));
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", target.webhook.address(), "-alpn", "h2"]);
    let shown = run(command, b"").await;
    assert!(!String::from_utf8_lossy(&shown.stdout).contains("ALPN protocol: h2"));
    // Reviews are not answered where health is shown.
    let answer = Request::post(target.webhook.admin_url("/inject"), text.as_bytes()).send().await;
    assert_eq!(answer.status, 404);
}
