//! `type: hmac` and `type: header` on the wire: what is signed is what is sent.

use std::fs;

use serde_json::json;

use crate::harness::{
    MockHttp2Upstream, MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, RecordedRequest,
    Request, Sidekey,
};
use crate::suite::oauth2::setup::service;

const KEY: &str = "signing-key-canary";

/// `openssl dgst -sha256 -hmac`, in hex.
fn openssl(arguments: &[&str], input: &[u8]) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().rsplit(' ').next().unwrap().to_owned()
}

fn hmac(upstream: &str, more: &str) -> String {
    format!(
        "api: {{ upstream: '{upstream}/base', auth: {{ type: hmac, key: {KEY}, parts: [method, path, query, timestamp, body_digest], \
         header: X-Signature, prefix: 'v1=', timestamp_header: X-Timestamp{more} }} }}"
    )
}

/// The signature that a request should have.
fn expected(request: &RecordedRequest) -> String {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let digest = openssl(&[], &request.body);
    let text =
        format!("{}\n{path}\n{query}\n{}\n{digest}", request.method, request.header("x-timestamp").unwrap());
    format!("v1={}", openssl(&["-hmac", KEY], text.as_bytes()))
}

#[tokio::test]
async fn hmac_signs_what_is_sent() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::serving(&hmac(&upstream.url(), "")).start_ready().await;
    for (method, target, body) in [
        ("GET", "/api/v1/things?b=2&a=%20", String::new()),
        ("POST", "/api/", "x".repeat(10)),
        ("PUT", "/api/large", "y".repeat(60_000)),
        ("DELETE", "/api", String::new()),
    ] {
        let call = Request::new(method, sidekey.url(target)).header("X-Signature", "evil").body(body.clone());
        assert_eq!(call.send().await.status, 200, "{method} {target}");
        let request = upstream.last_request();
        assert_eq!(request.body.len(), body.len());
        assert_eq!(request.header("x-signature"), Some(expected(&request).as_str()), "{method} {target}");
    }
    assert!(!sidekey.log().contains(KEY));
}

/// HTTP/2 has no target with these characters.
#[tokio::test]
async fn hmac_signs_the_target_that_http2_has() {
    let upstream = MockHttp2Upstream::plain().await;
    let services = format!(
        "api: {{ upstream: '{}/base', protocol: http2, auth: {{ type: hmac, key: {KEY}, parts: [path, query], header: X-Signature }} }}",
        upstream.url()
    );
    let sidekey = Sidekey::serving(&services).start_ready().await;
    for (target, sent, query) in [
        ("/api/a|b/\u{e9}?q={1}^2", "/base/a%7Cb/%C3%A9", "q=%7B1%7D%5E2"),
        ("/api/a%7cb?q=%7b", "/base/a%7cb", "q=%7b"),
    ] {
        let mut connection = sidekey.connect().await;
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!(connection.response().await.status, 200, "{target}");
        let request = upstream.last_request();
        assert_eq!((request.uri.path(), request.uri.query()), (sent, Some(query)));
        let signature = openssl(&["-hmac", KEY], format!("{sent}\n{query}").as_bytes());
        assert_eq!(request.headers["x-signature"], signature, "{target}");
    }
}

#[tokio::test]
async fn hmac_rejects_a_body_that_is_too_large_to_sign() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::serving(&hmac(&upstream.url(), "")).start_ready().await;
    let response = Request::new("POST", sidekey.url("/api/x")).body("z".repeat(70_000)).send().await;
    assert_eq!(response.status, 413);
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn header_kind_injects_all_fields_and_a_changed_file_is_followed() {
    let upstream = MockUpstream::plain().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("application-key");
    fs::write(&file, "first").unwrap();
    let services = format!(
        "api: {{ upstream: {}, auth: {{ type: header, headers: {{ DD-API-KEY: a, DD-APPLICATION-KEY: {{ file: {} }} }}, query: {{ site: eu }} }} }}",
        upstream.url(),
        file.display()
    );
    let sidekey = Sidekey::serving(&services).start_ready().await;
    let call = Request::new("GET", sidekey.url("/api/x?site=us")).header("dd-api-key", "evil");
    assert_eq!(call.send().await.status, 200);
    let request = upstream.last_request();
    assert_eq!(
        (request.header("dd-api-key"), request.header("dd-application-key")),
        (Some("a"), Some("first"))
    );
    assert_eq!(request.target, "/x?site=eu");
}

#[tokio::test]
async fn dpop_proof_is_made_again_after_a_lost_connection() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(MockTokenResponse::json(
        &json!({ "access_token": "bound", "token_type": "DPoP", "expires_in": 3600 }),
    ));
    let config = service("api", &upstream, &endpoint, "dpop: true,", "");
    let sidekey = Sidekey::serving(&config).start_ready().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    upstream.next(MockResponse::close_unanswered());
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    let requests = upstream.requests();
    let proofs: Vec<_> = requests.iter().map(|request| request.header("dpop").unwrap()).collect();
    assert_eq!(proofs.len(), 3, "the second request was sent twice");
    assert_ne!(proofs[1], proofs[2], "a proof is for one request (RFC 9449 §11.1)");
    let retries = [("service", "api"), ("reason", "connection_lost"), ("result", "success")];
    assert_eq!(sidekey.metric("sidekey_upstream_retries_total", &retries).await, Some(1.0));
}
