//! `type: jwt` on the wire, each token verified with `jose`, an independent library.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{
    MockResponse, MockUpstream, Request, Sidekey, TIMEOUT, assert_eventually, jose_verify, openssl,
};

fn service(upstream: &MockUpstream, auth: &str) -> String {
    format!("api: {{ upstream: '{}', auth: {{ type: jwt, {auth} }} }}", upstream.url())
}

/// The bearer token of the last request.
fn sent(upstream: &MockUpstream) -> String {
    let request = upstream.last_request();
    let values = request.headers.all("authorization");
    assert_eq!(values.len(), 1, "{values:?}");
    values[0].strip_prefix("Bearer ").expect("a bearer token").to_owned()
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn jwt_is_verified_by_jose_and_replaces_what_the_caller_sends() {
    let pem = openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256").await;
    let upstream = MockUpstream::plain().await;
    let auth = "private_key: { file: $DIR/key.pem }, key_id: k-7, headers: { typ: at+jwt }, lifetime: 20m, \
                claims: { iss: team, aud: apps, scope: [a, b] }";
    let sidekey = Sidekey::serving(&service(&upstream, auth)).file("key.pem", &pem).start_ready().await;
    let call = Request::get(sidekey.url("/api/x")).header("Authorization", "Bearer evil");
    assert_eq!(call.send().await.status, 200);
    let options = json!({ "audience": "apps", "issuer": "team", "maxTokenAge": "90s" });
    let verified = jose_verify(&sent(&upstream), &pem, "ES256", &options).await;
    assert_eq!(verified["header"], json!({ "alg": "ES256", "typ": "at+jwt", "kid": "k-7" }));
    let claims = &verified["claims"];
    assert_eq!(claims["scope"], json!(["a", "b"]));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 20 * 60);
    let first = sent(&upstream);
    sidekey.get("/api/y").await;
    assert_eq!(sent(&upstream), first, "one token serves many requests");
    assert!(!sidekey.log().contains(&first) && !sidekey.metrics().await.contains(&first));
}

#[tokio::test]
async fn jwt_of_a_shared_secret_is_verified_by_jose() {
    let upstream = MockUpstream::plain().await;
    let secret = "CANARY-a-shared-secret-of-at-least-forty-eight-bytes";
    let auth =
        format!("secret: {secret}, signing_alg: HS384, claims: {{ iss: app-17 }}, issued_at_backdate: 0s");
    let sidekey = Sidekey::serving(&service(&upstream, &auth)).start_ready().await;
    sidekey.get("/api/").await;
    let verified = jose_verify(&sent(&upstream), secret, "HS384", &json!({ "issuer": "app-17" })).await;
    assert!(verified["claims"]["iat"].as_u64().unwrap() + 30 > now());
    assert!(!sidekey.log().contains("CANARY"));
}

#[tokio::test]
async fn jwt_without_expiry_has_the_fingerprint_and_no_end() {
    let pem = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048").await;
    let upstream = MockUpstream::plain().await;
    let auth = "private_key: { file: $DIR/key.pem }, expiry_claim: false, reuse: { min: 20m, max: 55m }, \
                claims: { iss: 'ACCT.USER.{public_key_sha256}' }";
    let sidekey = Sidekey::serving(&service(&upstream, auth)).file("key.pem", &pem).start_ready().await;
    sidekey.get("/api/").await;
    let claims = claims(&sent(&upstream));
    assert!(claims.get("exp").is_none(), "{claims}");
    let file = sidekey.dir().join("key.pem").display().to_string();
    let command = format!(
        "openssl pkey -in {file} -pubout -outform DER | openssl dgst -sha256 -binary | openssl enc -base64"
    );
    let output = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
    let fingerprint = String::from_utf8(output.stdout).unwrap();
    assert_eq!(claims["iss"], format!("ACCT.USER.SHA256:{}", fingerprint.trim()));
    let expiry = sidekey.metric("sidekey_token_expiry_timestamp_seconds", &[]).await.unwrap();
    let left = expiry - f64::from(u32::try_from(now()).unwrap());
    assert!((54.0 * 60.0..=55.0 * 60.0 + 1.0).contains(&left), "used for {left} s");
}

#[tokio::test]
async fn rejected_jwt_is_replaced_once_and_the_request_sent_again() {
    let pem = openssl("genpkey -algorithm ED25519").await;
    let upstream = MockUpstream::plain().await;
    let first = std::sync::Arc::new(parking_lot::Mutex::new(None::<String>));
    upstream.respond_with(move |request| {
        let sent = request.header("authorization").unwrap_or_default().to_owned();
        let mut first = first.lock();
        let is_first = first.get_or_insert_with(|| sent.clone()) == &sent;
        MockResponse::status(if is_first { 401 } else { 200 })
    });
    // Different by its `iat` only.
    let auth = "private_key: { file: $DIR/key.pem }, claims: { iss: a }, lifetime: 30m, reuse: { min: 0s }, issued_at_backdate: 0s";
    let sidekey = Sidekey::serving(&service(&upstream, auth)).file("key.pem", &pem).start_ready().await;
    let served = async || sidekey.get("/api/").await.status == 200;
    assert_eventually(TIMEOUT, "a new token is accepted", served).await;
}

#[tokio::test]
async fn new_key_is_used_without_a_restart() {
    let pem = openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256").await;
    let upstream = MockUpstream::plain().await;
    let auth = "private_key: { file: $DIR/key.pem }, claims: { iss: a }";
    let sidekey = Sidekey::serving(&service(&upstream, auth)).file("key.pem", &pem).start_ready().await;
    let new = openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256").await;
    sidekey.write("key.pem", &new);
    assert!(sidekey.reload().await);
    sidekey.get("/api/").await;
    jose_verify(&sent(&upstream), &new, "ES256", &json!({})).await;
}
