//! The caller of a `CONNECT`, and of the requests inside it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::setup::{BILLING_KEY, CI_KEY, assert_no_canary, keys_and_roles, sha256};
use crate::harness::{MockUpstream, Pki, Sidekey};
use crate::suite::http::setup::Wire;
use crate::suite::ingress::setup::{handshake, intercepting};

async fn sidekey(upstream: &MockUpstream, pki: &Pki, more: &str) -> (Sidekey, String) {
    let roles = keys_and_roles()
        .replace("reports: { allow: read_only }", "")
        .replace("services: [crm]", "services: [api]");
    let roles = roles.replace(
        "crm: { allow: [GET /v1/**], deny: [/v1/secret/**] }, ",
        "api: { allow: [GET /base/v1/**] }",
    );
    let (builder, ca) = intercepting(upstream, pki, &format!("{roles}{more}")).await;
    (builder.start().await, ca)
}

fn field(key: &str) -> String {
    format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("caller:{key}")))
}

/// Sends a `CONNECT` with these fields; the connection, and the head of the response.
async fn connect(sidekey: &Sidekey, authority: &str, fields: &str) -> (Wire, String) {
    let mut wire = Wire::to(sidekey).await;
    wire.send(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n")).await;
    let head = wire.until("\r\n\r\n").await;
    (wire, head)
}

#[tokio::test]
async fn connect_is_that_of_a_known_caller_who_makes_the_requests_inside() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let (sidekey, ca) = sidekey(&upstream, &pki, "").await;
    let authority = format!("localhost:{}", upstream.address().port());
    for fields in [String::new(), field("wrong"), field(CI_KEY) + &field(CI_KEY)] {
        let (_, head) = connect(&sidekey, &authority, &fields).await;
        assert!(
            head.starts_with("HTTP/1.1 407 ") && head.contains("Proxy-Authenticate: Basic realm=\"sidekey\""),
            "{head}"
        );
    }
    for (key, inner, path, expected) in [
        (CI_KEY, String::new(), "/base/v1/x", "200"),
        (CI_KEY, String::new(), "/base/v2/x", "403"),
        // The app means this for the API.
        (CI_KEY, "Authorization: Bearer dummy\r\n".into(), "/base/v1/x", "200"),
        (CI_KEY, format!("Authorization: Bearer {BILLING_KEY}\r\n"), "/base/v2/x", "403"),
        // What is inside may present another key, and is no more than the caller of that.
        (CI_KEY, field(BILLING_KEY), "/base/v2/x", "200"),
        (BILLING_KEY, field(CI_KEY), "/base/v2/x", "403"),
        (BILLING_KEY, field("wrong"), "/base/v2/x", "401"),
        (BILLING_KEY, String::new(), "/base/v2/x", "200"),
    ] {
        let (wire, head) = connect(&sidekey, &authority, &field(key)).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let mut stream = handshake(wire, &ca, "localhost").await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n{inner}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(
            answer.starts_with(format!("HTTP/1.1 {expected} ").as_bytes()),
            "{inner} {path}: {}",
            answer.escape_ascii()
        );
    }
    assert_no_canary(&sidekey, &upstream).await;
}

#[tokio::test]
async fn reload_takes_the_key_from_an_open_connect() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let (sidekey, ca) = sidekey(&upstream, &pki, "").await;
    let authority = format!("localhost:{}", upstream.address().port());
    let (wire, _) = connect(&sidekey, &authority, &field(CI_KEY)).await;
    let mut stream = handshake(wire, &ca, "localhost").await.unwrap();
    let config = std::fs::read_to_string(sidekey.dir().join("sidekey.yaml")).unwrap();
    sidekey.reconfigure(&config.replace(&format!("{}, ", sha256(CI_KEY)), ""));
    assert!(sidekey.reload().await);
    let request = format!("GET /base/v1/x HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 401 "), "{}", answer.escape_ascii());
}

#[tokio::test]
async fn tunnel_is_for_known_callers() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let elsewhere = MockUpstream::plain().await;
    let (sidekey, _) = sidekey(&upstream, &pki, "connect: { unmatched: tunnel, allow_local: true }\n").await;
    let authority = elsewhere.address().to_string();
    let (_, head) = connect(&sidekey, &authority, "").await;
    assert!(head.starts_with("HTTP/1.1 407 "), "{head}");
    assert_eq!(elsewhere.connections(), 0);
    let (_, head) = connect(&sidekey, &authority, &field(CI_KEY)).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}
