//! `grant_type: jwt_bearer`.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PublicKeyData as _};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use super::setup::{serving, with_refresh_token, without_refresh_token};
use crate::harness::{MockTokenEndpoint, MockUpstream, TokenRequest};

const SIGNED: &str = "grant_type: jwt_bearer, private_key: { file: $DIR/key.pem }";

/// Header and claims of the assertion, after its signature is verified with the key.
fn assertion(request: &TokenRequest, key: &KeyPair) -> (Value, Value) {
    let assertion = request.param("assertion").unwrap();
    let parts: Vec<_> = assertion.split('.').collect();
    assert_eq!(parts.len(), 3);
    let decoded = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.der_bytes());
    let signed = format!("{}.{}", parts[0], parts[1]);
    public.verify(signed.as_bytes(), &decoded(parts[2])).expect("the signature is good");
    let json = |part: &str| serde_json::from_slice(&decoded(part)).unwrap();
    (json(parts[0]), json(parts[1]))
}

/// Checks the claims that differ between assertions; returns the others.
fn stable_claims(claims: &Value, lifetime: u64) -> Value {
    let mut claims = claims.as_object().unwrap().clone();
    let issued = claims.remove("iat").unwrap().as_u64().unwrap();
    assert_eq!(claims.remove("exp").unwrap().as_u64().unwrap(), issued + lifetime);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(issued) < 120, "{issued} is now ({now})");
    assert!(issued + lifetime / 8 <= now, "{issued} is a little before now ({now})");
    assert!(claims.remove("jti").unwrap().as_str().unwrap().len() >= 20);
    claims.into()
}

#[tokio::test]
async fn jwt_bearer_signs_configured_claims_and_headers() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let key = KeyPair::generate().unwrap();
    let more = format!(
        "{SIGNED}, client_id: consumer, key_id: key-1, scopes: [a, b], assertion_lifetime: 5m, \
         claims: {{ sub: alice@example.com, aud: 'https://login.example.com', box_sub_type: enterprise, level: 7, \
         deep: {{ list: [x, true] }} }}, assertion_headers: {{ x5t: abc }}"
    );
    let builder = serving(&upstream, &endpoint, &more).file("key.pem", &key.serialize_pem());
    let sidekey = builder.start_ready().await;
    let request = endpoint.only_request();
    assert_eq!(request.param("grant_type"), Some("urn:ietf:params:oauth:grant-type:jwt-bearer"));
    assert_eq!((request.param("scope"), request.param("client_id")), (Some("a b"), Some("consumer")));
    let (header, claims) = assertion(&request, &key);
    assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT", "kid": "key-1", "x5t": "abc" }));
    let expected = json!({
        "iss": "consumer", "sub": "alice@example.com", "aud": "https://login.example.com",
        "box_sub_type": "enterprise", "level": 7, "deep": { "list": ["x", true] },
    });
    assert_eq!(stable_claims(&claims, 300), expected);
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    let shown = request.param("assertion").unwrap();
    assert!(!sidekey.log().contains(shown) && !sidekey.log().contains("PRIVATE KEY"));
}

#[tokio::test]
async fn jwt_bearer_signs_a_new_assertion_for_each_request() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let key = KeyPair::generate().unwrap();
    endpoint.next(with_refresh_token(1, "not to be used"));
    endpoint.next(without_refresh_token(1));
    let more = format!("{SIGNED}, claims: {{ iss: me, sub: me }}");
    let builder = serving(&upstream, &endpoint, &more).file("key.pem", &key.serialize_pem());
    let _sidekey = builder.start_ready().await;
    endpoint.received(2).await;
    let requests = endpoint.requests();
    let claims: Vec<_> = requests[..2].iter().map(|request| assertion(request, &key).1).collect();
    assert_ne!(claims[0]["jti"], claims[1]["jti"]);
    for (request, claims) in requests.iter().zip(&claims) {
        assert_eq!(request.form.len(), 2, "a grant and nothing else: {:?}", request.form);
        assert_eq!(request.authorization, None);
        assert_eq!(stable_claims(claims, 180), json!({ "iss": "me", "sub": "me", "aud": endpoint.url() }));
    }
}

#[tokio::test]
async fn jwt_bearer_reads_a_service_account_file() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let key = KeyPair::generate().unwrap();
    let account = json!({
        "type": "service_account", "project_id": "p", "private_key_id": "0123abcd", "private_key": key.serialize_pem(),
        "client_email": "robot@p.iam.gserviceaccount.com", "client_id": "1234", "token_uri": "https://elsewhere.example",
    });
    let more = "grant_type: jwt_bearer, service_account_file: $DIR/account.json, scopes: [one, two], \
                claims: { sub: boss@example.com }";
    let builder = serving(&upstream, &endpoint, more).file("account.json", &account.to_string());
    let _sidekey = builder.start_ready().await;
    let (header, claims) = assertion(&endpoint.only_request(), &key);
    assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT", "kid": "0123abcd" }));
    let expected = json!({
        "iss": "robot@p.iam.gserviceaccount.com", "sub": "boss@example.com", "aud": endpoint.url(),
        "scope": "one two",
    });
    assert_eq!(stable_claims(&claims, 180), expected);
}
