//! Callers that are known by a signed token.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::setup::{assert_no_canary, configuration, outcome};
use crate::harness::{Http2, MockResponse, MockUpstream, Request, Sidekey, TIMEOUT, assert_eventually};

/// An issuer with one key.
pub struct Issuer {
    key: EcdsaKeyPair,
    id: String,
}

impl Issuer {
    pub fn new(id: &str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self { key, id: id.into() }
    }

    fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        json!({ "kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "alg": "ES256",
                "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]) })
    }

    pub fn jwks(&self) -> String {
        json!({ "keys": [self.jwk()] }).to_string()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// A token with the usual header.
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": "ES256", "kid": self.id }), claims)
    }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const SUBJECT: &str = "system:serviceaccount:payments:app";

/// The claims of a projected service-account token of Kubernetes.
fn claims() -> Value {
    json!({
        "aud": ["sidekey"], "exp": now() + 3600, "iat": now(), "nbf": now(), "iss": ISSUER, "sub": SUBJECT,
        "jti": "CANARY-jti", "kubernetes.io": { "namespace": "payments", "serviceaccount": { "name": "app", "uid": "1" } },
    })
}

fn with(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn callers(keys: &str) -> String {
    format!(
        "callers:
  payments: {{ jwt: {{ issuer: '{ISSUER}', audience: sidekey, {keys}, claims: {{ sub: '{SUBJECT}' }} }} }}
  batch: {{ jwt: {{ issuer: '{ISSUER}', audience: sidekey, {keys}, claims: {{ sub: 'system:serviceaccount:payments:batch', groups: night }} }} }}
roles:
  crm: {{ callers: payments, services: [crm] }}
  reports: {{ callers: batch, services: [reports] }}
"
    )
}

async fn with_file(upstream: &MockUpstream, issuer: &Issuer) -> Sidekey {
    let config = configuration(upstream, &callers("jwks_file: $DIR/jwks.json"), "127.0.0.1:0");
    Sidekey::configured(&config).file("jwks.json", &issuer.jwks()).start().await
}

async fn call(sidekey: &Sidekey, path: &str, token: &str) -> (u16, String) {
    let response =
        Request::get(sidekey.url(path)).header("Authorization", &format!("Bearer {token}")).send().await;
    let (status, rule) = outcome(&response);
    (status, rule.split(':').next().unwrap().to_owned())
}

#[tokio::test]
async fn projected_service_account_token_is_a_caller() {
    let (upstream, issuer) = (MockUpstream::plain().await, Issuer::new("k1"));
    let sidekey = with_file(&upstream, &issuer).await;
    let token = issuer.token(&claims());
    for _ in 0..3 {
        assert_eq!(call(&sidekey, "/crm/x", &token).await.0, 200);
    }
    assert_eq!(call(&sidekey, "/reports/x", &token).await.0, 403);
    let batch = issuer
        .token(&with(&json!({ "sub": "system:serviceaccount:payments:batch", "groups": ["day", "night"] })));
    assert_eq!(call(&sidekey, "/reports/x", &batch).await.0, 200);
    assert_eq!(call(&sidekey, "/crm/x", &batch).await.0, 403);
    // Every stream of a connection has its own token.
    let mut http2 = Http2::open(sidekey.address()).await;
    for (token, expected) in [(&token, 200), (&batch, 403), (&token, 200)] {
        let request =
            http::Request::get("http://localhost/crm/x").header("authorization", format!("Bearer {token}"));
        assert_eq!(http2.call(request.body(()).unwrap()).await.status, expected);
    }
    assert_no_canary(&sidekey, &upstream).await;
    let signature = token.rsplit('.').next().unwrap();
    assert!(
        upstream
            .requests()
            .iter()
            .all(|request| !String::from_utf8_lossy(&request.raw_head).contains(signature))
    );
    assert!(!sidekey.log().contains(signature));
}

#[tokio::test]
async fn forged_or_stale_token_is_refused() {
    let (upstream, issuer, stranger) = (MockUpstream::plain().await, Issuer::new("k1"), Issuer::new("k1"));
    let sidekey = with_file(&upstream, &issuer).await;
    let token = issuer.token(&claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = |alg: &str| format!("{}.{}.", part(&json!({ "alg": alg })), part(&claims()));
    // HS256 with the public key as the secret, in each form that it has.
    let symmetric = |secret: &[u8]| {
        let signed = format!("{}.{}", part(&json!({ "alg": "HS256", "kid": "k1" })), part(&claims()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    };
    let es = |header: Value| issuer.sign(&header, &claims());
    let mut own_key = json!({ "alg": "ES256" });
    own_key["jwk"] = stranger.jwk();
    for (token, reason) in [
        (unsigned("none"), "token_malformed"),
        (unsigned("None"), "token_malformed"),
        (format!("{signed}."), "token_signature"),
        (format!("{signed}.{signature}AA"), "token_signature"),
        (format!("{signed}.{signature}="), "token_malformed"),
        (symmetric(issuer.key.public_key().as_ref()), "token_malformed"),
        (symmetric(issuer.jwks().as_bytes()), "token_malformed"),
        (stranger.token(&claims()), "token_signature"),
        (stranger.sign(&own_key, &claims()), "token_signature"),
        (
            stranger.sign(&json!({ "alg": "ES256", "jku": "https://evil.example/jwks" }), &claims()),
            "token_signature",
        ),
        (es(json!({ "alg": "RS256", "kid": "k1" })), "token_unknown_key"),
        (es(json!({ "alg": "ES384", "kid": "k1" })), "token_unknown_key"),
        (es(json!({ "alg": "ES256", "kid": "../k1" })), "token_unknown_key"),
        (es(json!({ "alg": "ES256", "kid": "/dev/null" })), "token_unknown_key"),
        (es(json!({ "alg": "ES256", "kid": ["k1"] })), "token_malformed"),
        (es(json!({ "alg": "ES256", "kid": "k1", "crit": ["b64"], "b64": false })), "token_malformed"),
        (es(json!({ "alg": "ES256", "kid": "k1", "crit": [] })), "token_malformed"),
        (es(json!({ "alg": "ES256", "kid": "k1", "typ": "dpop+jwt" })), "token_malformed"),
        (issuer.token(&with(&json!({ "exp": now() - 60 }))), "token_expired"),
        (issuer.token(&with(&json!({ "exp": null }))), "token_expired"),
        (issuer.token(&with(&json!({ "exp": "9999999999" }))), "token_expired"),
        (issuer.token(&with(&json!({ "nbf": now() + 120 }))), "token_not_yet_valid"),
        (issuer.token(&with(&json!({ "nbf": "x" }))), "token_not_yet_valid"),
        (issuer.token(&with(&json!({ "aud": "other" }))), "token_claims"),
        (issuer.token(&with(&json!({ "aud": ["sidekey2", "xsidekey"] }))), "token_claims"),
        (issuer.token(&with(&json!({ "aud": { "sidekey": true } }))), "token_claims"),
        (issuer.token(&with(&json!({ "aud": null }))), "token_claims"),
        (issuer.token(&with(&json!({ "iss": format!("{ISSUER}/") }))), "token_claims"),
        (issuer.token(&with(&json!({ "iss": [ISSUER] }))), "token_claims"),
        (issuer.token(&with(&json!({ "sub": "system:serviceaccount:payments:other" }))), "token_claims"),
        (issuer.token(&with(&json!({ "sub": format!("{SUBJECT}\u{0}") }))), "token_claims"),
        ("a.b.c".into(), "token_malformed"),
        ("..".into(), "token_malformed"),
        (signed.to_owned(), "unknown_key"),
    ] {
        assert_eq!(call(&sidekey, "/crm/x", &token).await, (401, reason.into()), "{token}");
    }
    assert_eq!(upstream.request_count(), 0);
    // Within the leeway, and with what may be there.
    for token in [
        issuer.token(&with(&json!({ "exp": now() - 10 }))),
        issuer.token(&with(&json!({ "nbf": now() + 10 }))),
        issuer.token(&with(&json!({ "nbf": null, "aud": "sidekey" }))),
        es(json!({ "alg": "ES256", "typ": "JWT" })),
        es(json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" })),
    ] {
        assert_eq!(call(&sidekey, "/crm/x", &token).await.0, 200, "{token}");
    }
}

/// Two callers of one issuer have keys from two places. What the caller is told does not depend on their order.
#[tokio::test]
async fn reason_is_that_of_the_keys_that_come_closest() {
    let (upstream, issuer, other) = (MockUpstream::plain().await, Issuer::new("k1"), Issuer::new("k2"));
    let server = MockUpstream::plain().await;
    server.always(MockResponse::status(503));
    let identity = |keys: &str| format!("{{ jwt: {{ issuer: '{ISSUER}', audience: sidekey, {keys} }} }}");
    let (file, none) = (identity("jwks_file: $DIR/jwks.json"), identity("jwks_file: $DIR/other.json"));
    let away = identity(&format!("jwks_url: '{}/keys'", server.url()));
    let expired = issuer.token(&with(&json!({ "exp": now() - 60 })));
    let unknown = Issuer::new("k3").token(&claims());
    for (one, two, token, expected) in [
        (&file, &none, &expired, (401, "token_expired")),
        (&none, &file, &expired, (401, "token_expired")),
        (&file, &away, &unknown, (503, "")),
        (&away, &file, &unknown, (503, "")),
        (&away, &file, &expired, (401, "token_expired")),
    ] {
        let callers = format!("callers: {{ one: {one}, two: {two} }}");
        let sidekey = Sidekey::configured(&configuration(&upstream, &callers, "127.0.0.1:0"))
            .file("jwks.json", &issuer.jwks())
            .file("other.json", &other.jwks())
            .start()
            .await;
        let found = call(&sidekey, "/crm/x", token).await;
        assert_eq!((found.0, found.1.as_str()), expected, "{one} {two}");
    }
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn changed_file_of_keys_is_in_use_for_tokens_that_were_accepted_before() {
    let (upstream, issuer, next) = (MockUpstream::plain().await, Issuer::new("k1"), Issuer::new("k2"));
    let sidekey = with_file(&upstream, &issuer).await;
    let (old, new) = (issuer.token(&claims()), next.token(&claims()));
    assert_eq!(call(&sidekey, "/crm/x", &old).await.0, 200);
    assert_eq!(call(&sidekey, "/crm/x", &new).await.1, "token_unknown_key");
    sidekey.write("jwks.json", &next.jwks());
    assert!(sidekey.reload().await);
    assert_eq!(call(&sidekey, "/crm/x", &old).await.1, "token_unknown_key");
    assert_eq!(call(&sidekey, "/crm/x", &new).await.0, 200);
}

#[tokio::test]
async fn keys_of_a_url_are_fetched_and_stay_in_use_during_an_outage() {
    let (upstream, issuer, server) =
        (MockUpstream::plain().await, Issuer::new("k1"), MockUpstream::plain().await);
    server.always(MockResponse::status(503));
    let keys = format!("jwks_url: '{}/keys?CANARY=1', jwks_token: CANARY-token", server.url());
    let config = configuration(&upstream, &callers(&keys), "127.0.0.1:0");
    let sidekey = Sidekey::configured(&config).start().await;
    let token = issuer.token(&claims());
    // Without keys nothing is known about the token: it is not said to be wrong.
    let response =
        Request::get(sidekey.url("/crm/x")).header("Authorization", &format!("Bearer {token}")).send().await;
    assert_eq!((response.status, response.sidekey_error()), (503, Some("caller_keys_unavailable")));
    assert_eq!((response.header("retry-after"), response.header("www-authenticate")), (Some("1"), None));
    server.always(MockResponse::status(200).header("Content-Type", "application/json").body(issuer.jwks()));
    assert_eventually(TIMEOUT, "the keys are fetched", async || {
        call(&sidekey, "/crm/x", &token).await.0 == 200
    })
    .await;
    assert_eq!(server.last_request().header("authorization"), Some("Bearer CANARY-token"));
    server.always(MockResponse::status(500));
    // Tokens that name unknown keys cause few requests, and the keys stay.
    let requests = server.request_count();
    for id in 0..20 {
        let unknown = issuer.sign(&json!({ "alg": "ES256", "kid": format!("x{id}") }), &claims());
        assert!(matches!(call(&sidekey, "/crm/x", &unknown).await.0, 401 | 503));
        assert_eq!(call(&sidekey, "/crm/x", &token).await.0, 200);
    }
    assert!(server.request_count() <= requests + 1, "{} requests", server.request_count() - requests);
    assert_no_canary(&sidekey, &upstream).await;
    let failures = sidekey.metric("sidekey_caller_keys_requests_total", &[("result", "failure")]).await;
    assert!(failures.is_some_and(|failures| failures >= 1.0));
}

/// The media type of a set of keys (RFC 7517 §8.5.2).
const KEY_SET: &str = "application/jwk-set+json";

/// A server of keys that answers a request with this bearer token.
fn serve_keys(server: &MockUpstream, token: &'static str, keys: &str) {
    let keys = keys.to_owned();
    server.respond_with(move |request| {
        if request.header("authorization") != Some(format!("Bearer {token}").as_str()) {
            return MockResponse::status(401);
        }
        // As Kubernetes does.
        if !request.header("accept").is_some_and(|accept| accept.contains(KEY_SET)) {
            return MockResponse::status(406);
        }
        MockResponse::status(200).header("Content-Type", KEY_SET).body(keys.clone())
    });
}

/// The issuer rotates its key. The old token is refused from the moment the new key is known, and no sooner than that.
#[tokio::test]
async fn rotated_keys_of_a_url_are_fetched_for_the_first_token_that_needs_them() {
    let (upstream, server) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let (issuer, next) = (Issuer::new("k1"), Issuer::new("k2"));
    serve_keys(&server, "CANARY-token", &issuer.jwks());
    let keys = format!("jwks_url: '{}/keys', jwks_token: CANARY-token", server.url());
    let sidekey =
        Sidekey::configured(&configuration(&upstream, &callers(&keys), "127.0.0.1:0")).start().await;
    let (old, new) = (issuer.token(&claims()), next.token(&claims()));
    assert_eventually(TIMEOUT, "the keys are fetched", async || {
        call(&sidekey, "/crm/x", &old).await.0 == 200
    })
    .await;
    // Both, as an issuer publishes them while tokens of the old key are in use.
    serve_keys(&server, "CANARY-token", &json!({ "keys": [issuer.jwk(), next.jwk()] }).to_string());
    assert_eventually(TIMEOUT, "the next key is fetched", async || {
        let found = call(&sidekey, "/crm/x", &new).await;
        assert!(matches!(found.0, 200 | 401 | 503), "{found:?}");
        assert_eq!(call(&sidekey, "/crm/x", &old).await.0, 200, "the old key is still one");
        found.0 == 200
    })
    .await;
    serve_keys(&server, "CANARY-token", &next.jwks());
    // A token with another unknown key causes the request that shows that the old one is gone.
    let unknown = Issuer::new("k3").token(&claims());
    assert_eventually(TIMEOUT, "the old key is gone", async || {
        call(&sidekey, "/crm/x", &unknown).await;
        call(&sidekey, "/crm/x", &old).await.0 != 200
    })
    .await;
    assert!(matches!(call(&sidekey, "/crm/x", &old).await.1.as_str(), "token_unknown_key" | ""));
    assert_eq!(call(&sidekey, "/crm/x", &new).await.0, 200);
    assert_no_canary(&sidekey, &upstream).await;
}

/// The token that Kubernetes demands at the URL of the keys is rotated by its file. The keys stay in use meanwhile.
#[tokio::test]
async fn rotated_token_for_the_url_of_keys_is_used_from_its_reload_on() {
    let (upstream, server) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let (issuer, next) = (Issuer::new("k1"), Issuer::new("k2"));
    serve_keys(&server, "CANARY-old", &issuer.jwks());
    let keys = format!("jwks_url: '{}/keys', jwks_token: {{ file: $DIR/token }}", server.url());
    let config = configuration(&upstream, &callers(&keys), "127.0.0.1:0");
    let sidekey = Sidekey::configured(&config).file("token", "CANARY-old").start().await;
    let (old, new) = (issuer.token(&claims()), next.token(&claims()));
    assert_eventually(TIMEOUT, "the keys are fetched", async || {
        call(&sidekey, "/crm/x", &old).await.0 == 200
    })
    .await;
    // From now on the server wants the new token, and has the new keys.
    serve_keys(&server, "CANARY-new", &next.jwks());
    sidekey.write("token", "CANARY-new");
    assert!(sidekey.reload().await);
    assert_eventually(TIMEOUT, "the new keys are fetched", async || {
        call(&sidekey, "/crm/x", &new).await.0 == 200
    })
    .await;
    assert_eq!(call(&sidekey, "/crm/x", &old).await.1, "token_unknown_key");
    let sent = |token: &str| {
        server.requests().iter().filter(|request| request.header("authorization") == Some(token)).count()
    };
    assert_eq!(sent("Bearer CANARY-old") + sent("Bearer CANARY-new"), server.request_count());
    assert_eq!(server.last_request().header("authorization"), Some("Bearer CANARY-new"));
    assert_no_canary(&sidekey, &upstream).await;
}
