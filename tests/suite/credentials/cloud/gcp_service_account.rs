//! `type: gcp_service_account` against a fake that holds the rules of Google's token endpoint; assertions are verified by jose.

use serde_json::{Value, json};

use super::setup::{bearer, command, form, unsigned, why_not_ready};
use crate::harness::{
    MockResponse, MockUpstream, RecordedRequest, Sidekey, TIMEOUT, assert_eventually, jose_verify, openssl,
};

const EMAIL: &str = "reports@acme.iam.gserviceaccount.com";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The key file, as Google writes it; `token_uri` leads elsewhere.
fn key_file(pem: &str) -> String {
    json!({
        "type": "service_account", "project_id": "acme", "private_key_id": "key-17", "private_key": pem,
        "client_email": EMAIL, "client_id": "1", "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "http://127.0.0.1:1/elsewhere", "universe_domain": "googleapis.com",
    })
    .to_string()
}

/// The token endpoint: an ID token if one is asked for, otherwise an access token.
async fn google() -> MockUpstream {
    let google = MockUpstream::plain().await;
    google.respond_with(|request| {
        let claims = claims(request);
        match claims["target_audience"].as_str() {
            Some(audience) => {
                MockResponse::json(&json!({ "id_token": unsigned(json!({ "aud": audience }), 3600) }))
            }
            None => MockResponse::json(&json!({
                "access_token": "ya29.CANARY", "expires_in": 3599, "token_type": "Bearer",
            })),
        }
    });
    google
}

fn claims(request: &RecordedRequest) -> Value {
    use base64::Engine as _;
    let form = form(request);
    let claims = form[1].1.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

fn service(upstream: &MockUpstream, google: &MockUpstream, keys: &str) -> String {
    format!(
        "api: {{ upstream: '{}', token_wait: 1s, auth: {{ type: gcp_service_account, token_url: '{}/token', {keys} }} }}",
        upstream.url(),
        google.url()
    )
}

/// Verifies the assertion of the only request, and returns its claims.
async fn verified(google: &MockUpstream, pem: &str) -> Value {
    let request = google.only_request();
    let form = form(&request);
    let names: Vec<_> = form.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names.as_slice(), form[0].1.as_str()), (&["grant_type", "assertion"][..], JWT_BEARER));
    let options =
        json!({ "audience": format!("{}/token", google.url()), "issuer": EMAIL, "maxTokenAge": "1h" });
    let verified = jose_verify(&form[1].1, pem, "RS256", &options).await;
    assert_eq!(verified["header"], json!({ "alg": "RS256", "typ": "JWT", "kid": "key-17" }));
    let claims = verified["claims"].clone();
    let lifetime = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert!(lifetime <= 3600, "Google accepts an hour: {lifetime}");
    claims
}

async fn key() -> String {
    openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048").await
}

#[tokio::test]
async fn access_token_has_the_scopes_of_the_configuration() {
    let pem = key().await;
    for (keys, scope, subject) in [
        ("", "https://www.googleapis.com/auth/cloud-platform", None),
        (
            "scopes: [https://a.example/one, https://a.example/two], subject: alice@acme.example",
            "https://a.example/one https://a.example/two",
            Some("alice@acme.example"),
        ),
    ] {
        let (google, upstream) = (google().await, MockUpstream::plain().await);
        let sidekey =
            Sidekey::serving(&service(&upstream, &google, &format!("key_file: $DIR/key.json, {keys}")))
                .file("key.json", &key_file(&pem))
                .start_ready()
                .await;
        assert_eq!(sidekey.get("/api/v1").await.status, 200);
        assert_eq!(bearer(&upstream.only_request()), Some("ya29.CANARY"));
        let claims = verified(&google, &pem).await;
        assert_eq!((&claims["scope"], claims["sub"].as_str()), (&json!(scope), subject));
        let shown = sidekey.log() + &sidekey.metrics().await;
        assert!(!shown.contains("CANARY") && !shown.contains("PRIVATE KEY"));
    }
}

#[tokio::test]
async fn id_token_is_for_the_audience_and_the_key_of_the_environment() {
    let (pem, google, upstream) = (key().await, google().await, MockUpstream::plain().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    std::fs::write(&file, key_file(&pem)).unwrap();
    let sidekey = Sidekey::serving(&service(&upstream, &google, "audience: 'https://reports-abc.a.run.app'"))
        .env("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())
        .start_ready()
        .await;
    assert_eq!(sidekey.get("/api/v1").await.status, 200);
    assert_eq!(bearer(&upstream.only_request()).unwrap().split('.').count(), 3);
    let claims = verified(&google, &pem).await;
    assert_eq!(
        (&claims["target_audience"], &claims["scope"]),
        (&json!("https://reports-abc.a.run.app"), &Value::Null)
    );
}

#[tokio::test]
async fn access_token_in_place_of_an_id_token_is_not_sent() {
    let (pem, google, upstream) = (key().await, MockUpstream::plain().await, MockUpstream::plain().await);
    google.always(MockResponse::json(&json!({ "access_token": "ya29.CANARY", "expires_in": 3599 })));
    let keys = "audience: 'https://a.run.app', key_file: $DIR/key.json";
    let sidekey =
        Sidekey::serving(&service(&upstream, &google, keys)).file("key.json", &key_file(&pem)).start().await;
    let named = async || why_not_ready(&sidekey).await.contains("no id_token");
    assert_eventually(TIMEOUT, "the member is named", named).await;
    assert_eq!(sidekey.get("/api/v1").await.status, 503);
    assert_eq!(upstream.request_count(), 0);
}

/// A new key is used for the next token, and the token of the old one stays in use until then.
#[tokio::test]
async fn new_key_file_is_used_without_a_restart() {
    let (first, second) = (key().await, key().await);
    let (google, upstream) = (google().await, MockUpstream::plain().await);
    let services = service(&upstream, &google, "key_file: $DIR/key.json");
    let sidekey = Sidekey::serving(&services).file("key.json", &key_file(&first)).start_ready().await;
    sidekey.write("key.json", &key_file(&second));
    assert!(sidekey.reload().await);
    google.received(2).await;
    assert_eq!(sidekey.get("/api/v1").await.status, 200);
    let assertion = form(&google.last_request())[1].1.clone();
    jose_verify(&assertion, &second, "RS256", &json!({ "issuer": EMAIL })).await;
}

#[tokio::test]
async fn file_that_is_no_key_is_named_without_its_content() {
    let upstream = MockUpstream::plain().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    let google = MockUpstream::plain().await;
    let service = service(&upstream, &google, &format!("key_file: {}", file.display()));
    for (content, said) in [
        ("CANARY", "not a service account key"),
        ("{\"type\":\"external_account\",\"audience\":\"CANARY\"}", "use `type: gcp_external_account`"),
        ("{\"type\":\"authorized_user\",\"refresh_token\":\"CANARY\"}", "not a service account key"),
        (
            "{\"type\":\"service_account\",\"client_email\":\"a@b\",\"private_key\":\"CANARY\"}",
            "`private_key` in the file",
        ),
    ] {
        std::fs::write(&file, content).unwrap();
        let (code, printed) = command(&["check"], &service, &[]).await;
        assert!(code == 78 && printed.contains(said) && !printed.contains("CANARY"), "{said}: {printed}");
    }
    let (code, printed) = command(&["check"], &self::service(&upstream, &google, ""), &[]).await;
    assert!(code == 78 && printed.contains("GOOGLE_APPLICATION_CREDENTIALS is not set"), "{printed}");
}

#[tokio::test]
async fn refusal_and_rejection_are_explained() {
    let (pem, google, upstream) = (key().await, MockUpstream::plain().await, MockUpstream::plain().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    std::fs::write(&file, key_file(&pem)).unwrap();
    let service = service(&upstream, &google, &format!("key_file: {}", file.display()));
    let refused =
        json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." }).to_string();
    google.always(MockResponse::status(400).body(refused).header("Content-Type", "application/json"));
    let (code, printed) = command(&["test", "api"], &service, &[]).await;
    assert!(code != 0 && printed.contains("Is the key still active in IAM"), "{printed}");
    google.always(MockResponse::json(&json!({ "access_token": "ya29.CANARY", "expires_in": 3599 })));
    for (status, said) in
        [(401, "Google's own APIs take an access token"), (403, "grant its service account")]
    {
        upstream.always(MockResponse::status(status));
        let (code, printed) = command(&["test", "api", "/v1"], &service, &[]).await;
        assert!(code != 0 && printed.contains(said) && !printed.contains("CANARY"), "{said}: {printed}");
    }
}
