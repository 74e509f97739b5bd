//! Signed client assertions on the wire, each verified with `jose`, an independent library.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{
    MockTokenEndpoint, MockTokenResponse, Sidekey, TokenRequest, assert_eventually, jose_verify, openssl,
};

/// The configuration of a service; `auth` are further keys of its credential.
fn service(endpoint: &MockTokenEndpoint, auth: &str) -> String {
    format!(
        "api: {{ upstream: 'http://127.0.0.1:9', auth: {{ type: oauth2, grant_type: client_credentials, \
         token_url: '{}', client_id: me, {auth} }} }}",
        endpoint.url()
    )
}

/// Header and claims of the assertion in a request, unverified.
fn assertion(request: &TokenRequest) -> (Value, Value) {
    let token = request.param("client_assertion").expect("an assertion");
    let part = |index| {
        let part = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    (part(0), part(1))
}

#[tokio::test]
async fn private_key_jwt_assertion_is_verified_by_jose() {
    let pem = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048").await;
    let endpoint = MockTokenEndpoint::plain().await;
    let auth =
        "auth_method: private_key_jwt, private_key: { file: $DIR/key.pem }, signing_alg: PS256, key_id: k-7";
    let _sidekey = Sidekey::serving(&service(&endpoint, auth)).file("key.pem", &pem).start_ready().await;
    let request = endpoint.only_request();
    assert_eq!(request.authorization, None);
    let names: Vec<_> = request.form.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["grant_type", "client_id", "client_assertion_type", "client_assertion"]);
    assert_eq!(
        request.param("client_assertion_type"),
        Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    );
    let token = request.param("client_assertion").unwrap();
    let options =
        json!({ "audience": endpoint.url(), "issuer": "me", "subject": "me", "maxTokenAge": "60s" });
    let verified = jose_verify(token, &pem, "PS256", &options).await;
    assert_eq!(verified["header"], json!({ "alg": "PS256", "typ": "JWT", "kid": "k-7" }));
    assert!(verified["claims"]["exp"].as_u64() > verified["claims"]["iat"].as_u64());
}

/// An endpoint whose clock is a little behind rejects what was issued in its future.
#[tokio::test]
async fn client_assertion_is_dated_a_little_back() {
    let endpoint = MockTokenEndpoint::plain().await;
    let auth = "auth_method: client_secret_jwt, client_secret: a-shared-secret-of-at-least-thirty-two-bytes";
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let _sidekey = Sidekey::serving(&service(&endpoint, auth)).start_ready().await;
    let claims = assertion(&endpoint.only_request()).1;
    let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (issued, expires) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert!(issued + 10 <= after, "{issued} is not long enough before {after}");
    assert!(issued + 20 >= before && expires >= before + 30, "{issued} is too long before {before}");
    assert!(claims.get("nbf").is_none_or(|not_before| not_before.as_u64() <= Some(issued)), "{claims}");
}

#[tokio::test]
async fn private_key_jwt_has_audience_and_certificate_thumbprint() {
    let pki = crate::harness::Pki::new();
    let files = pki.server_files(&["me.example"]);
    let endpoint = MockTokenEndpoint::plain().await;
    let (key, certificate) = (files.key.to_str().unwrap(), files.certificate.to_str().unwrap());
    let auth = format!(
        "auth_method: private_key_jwt, private_key: {{ file: '{key}' }}, assertion_audience: 'https://idp.example', \
         assertion_certificate: '{certificate}'"
    );
    let _sidekey = Sidekey::serving(&service(&endpoint, &auth)).start_ready().await;
    let (header, claims) = assertion(&endpoint.only_request());
    assert_eq!(claims["aud"], "https://idp.example");
    let thumbprint = openssl(&format!("x509 -in {certificate} -noout -fingerprint -sha256")).await;
    let hex = thumbprint.split_once('=').unwrap().1.trim().to_owned();
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(header["x5t#S256"].as_str().unwrap()).unwrap();
    let bytes: Vec<_> = decoded.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(bytes.join(":"), hex);
}

#[tokio::test]
async fn client_secret_jwt_assertion_does_not_send_the_secret() {
    let secret = "a-shared-secret-of-at-least-thirty-two-bytes";
    let endpoint = MockTokenEndpoint::plain().await;
    let auth = format!("auth_method: client_secret_jwt, client_secret: {secret}");
    let sidekey = Sidekey::serving(&service(&endpoint, &auth)).start_ready().await;
    let request = endpoint.only_request();
    assert!(!request.http.text().contains(secret));
    let options = json!({ "audience": endpoint.url(), "issuer": "me", "subject": "me" });
    let verified = jose_verify(request.param("client_assertion").unwrap(), secret, "HS256", &options).await;
    assert_eq!(verified["header"], json!({ "alg": "HS256", "typ": "JWT" }));
    assert!(!sidekey.log().contains(secret));
}

#[tokio::test]
async fn client_assertion_is_new_for_each_request_and_not_logged() {
    let pem = openssl("ecparam -genkey -noout -name prime256v1").await;
    let endpoint = MockTokenEndpoint::plain().await;
    // An endpoint that echoes the assertion.
    endpoint.server().respond_with(|request| {
        let form: Vec<(String, String)> = form_urlencoded::parse(&request.body).into_owned().collect();
        let sent = &form.iter().find(|(name, _)| name == "client_assertion").unwrap().1;
        let body = json!({ "error": "invalid_client", "error_description": format!("no: {sent}") });
        crate::harness::MockResponse::status(401).body(body.to_string())
    });
    let auth = "auth_method: private_key_jwt, private_key: { env: KEY }";
    let sidekey = Sidekey::serving(&service(&endpoint, auth))
        .env("RUST_LOG", "trace")
        .env("KEY", &pem.replace('\n', "\\n"))
        .start()
        .await;
    endpoint.received(2).await;
    let requests = endpoint.requests();
    let (first, second) = (assertion(&requests[0]).1, assertion(&requests[1]).1);
    assert_ne!(first["jti"], second["jti"]);
    let said = async || sidekey.log().contains("is the public key registered there");
    assert_eventually(Duration::from_secs(20), "the log has advice", said).await;
    let log = sidekey.log();
    for request in requests {
        let token = request.param("client_assertion").unwrap();
        let signature = token.rsplit('.').next().unwrap();
        assert!(!log.contains(signature) && !log.contains(&token[..40]), "{log}");
    }
    let core: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    assert!(!log.contains(&core[..16]) && !log.contains(&core[20..40]));
}

#[tokio::test]
async fn rejected_client_auth_advises_another_method() {
    for (auth, advice) in [
        ("client_secret: s3cret-value", "try `auth_method: client_secret_post`"),
        (
            "client_secret: s3cret-value, auth_method: client_secret_post",
            "try `auth_method: client_secret_basic`",
        ),
        ("client_secret: s3cret-value, auth_method: client_secret_jwt", "look at `signing_alg`"),
    ] {
        let endpoint = MockTokenEndpoint::plain().await;
        endpoint.always(MockTokenResponse::error(401, "invalid_client"));
        let sidekey = Sidekey::serving(&service(&endpoint, auth)).start().await;
        endpoint.received(2).await;
        let said = async || sidekey.log().contains(advice);
        assert_eventually(Duration::from_secs(20), advice, said).await;
        let shape = |request: &TokenRequest| {
            let names: Vec<_> = request.form.iter().map(|(name, _)| name.clone()).collect();
            (names, request.authorization.clone())
        };
        let requests = endpoint.requests();
        assert!(
            requests.iter().all(|request| shape(request) == shape(&requests[0])),
            "no other method is probed"
        );
    }
}
