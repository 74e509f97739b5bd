//! Secrets from OpenBao: every login, both versions of the key-value engine, and a store that goes away.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::harness::{
    MockResponse, MockUpstream, OpenBao, Pki, Request, Sidekey, TIMEOUT, assert_eventually,
};

/// What the logins of the tests may do: read, and nothing of leases but what every token may.
const POLICY: &str = r#"
path "secret/data/*" { capabilities = ["read"] }
path "old/*" { capabilities = ["read"] }
path "rabbitmq/creds/*" { capabilities = ["read"] }
"#;

/// A store with a policy `reader`, and the engines `secret/` (version 2) and `old/` (version 1).
pub async fn store(pki: &Pki) -> OpenBao {
    let bao = OpenBao::start(pki).await;
    bao.send("PUT", "sys/policies/acl/reader", &json!({ "policy": POLICY })).await;
    bao.send("POST", "sys/mounts/secret", &json!({ "type": "kv", "options": { "version": "2" } })).await;
    bao.send("POST", "sys/mounts/old", &json!({ "type": "kv", "options": { "version": "1" } })).await;
    bao
}

/// Enables `AppRole` with a role `app`; returns the keys of `login`.
pub async fn approle(bao: &OpenBao, role: &Value) -> String {
    bao.send("POST", "sys/auth/approle", &json!({ "type": "approle" })).await;
    let mut role = role.clone();
    role["token_policies"] = "reader".into();
    bao.send("POST", "auth/approle/role/app", &role).await;
    let role_id = bao.send("GET", "auth/approle/role/app/role-id", &Value::Null).await;
    let secret_id = bao.send("POST", "auth/approle/role/app/secret-id", &json!({})).await;
    let file = bao.file("secret-id", secret_id["data"]["secret_id"].as_str().unwrap());
    format!("{{ method: approle, role_id: {}, secret_id: {{ file: '{file}' }} }}", role_id["data"]["role_id"])
}

/// An entry of `secret_stores`.
pub fn entry(name: &str, bao: &OpenBao, login: &str, more: &str) -> String {
    format!(
        "  {name}: {{ type: vault, url: '{}', tls: {{ ca_file: '{}'{more} }}, refresh_interval: 1s, login: {login} }}\n",
        bao.url(),
        bao.ca_file()
    )
}

pub fn configuration(stores: &str, services: &str) -> String {
    let text = Sidekey::configuration_serving(services);
    format!("reload: {{ interval: 200ms }}\nsecret_stores:\n{stores}{text}")
}

fn service(name: &str, upstream: &MockUpstream, secret: &str) -> String {
    format!(
        "{name}: {{ upstream: '{}', auth: {{ type: bearer, token: {{ vault: {secret} }} }} }}\n",
        upstream.url()
    )
}

async fn assert_sends(sidekey: &Sidekey, upstream: &MockUpstream, service: &str, token: &str) {
    assert_eventually(TIMEOUT, &format!("{service} sends {token}"), async || {
        let status = sidekey.get(&format!("/{service}/x")).await.status;
        status == 200 && upstream.last_request().header("authorization") == Some(&format!("Bearer {token}"))
    })
    .await;
}

/// A key of an issuer of JWTs: the key, and its public half in PEM.
pub fn issuer() -> (EcdsaKeyPair, String) {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap();
    // The head of a SubjectPublicKeyInfo of P-256 (RFC 5480).
    let head = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";
    let point = BASE64_STANDARD.encode(&key.public_key().as_ref()[1..]);
    (key, format!("-----BEGIN PUBLIC KEY-----\n{head}{point}\n-----END PUBLIC KEY-----\n"))
}

pub fn jwt(key: &EcdsaKeyPair, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": "ES256", "typ": "JWT" })), part(claims));
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

pub fn claims() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({
        "iss": "https://issuer.example", "aud": ["bao"], "sub": "system:serviceaccount:default:app",
        "iat": now, "nbf": now - 60, "exp": now + 3600,
        "kubernetes.io": { "namespace": "default", "serviceaccount": { "name": "app", "uid": "u-1" } },
    })
}

#[tokio::test]
async fn every_login_reads_from_both_key_value_engines() {
    let (pki, upstream) = (Pki::new(), MockUpstream::plain().await);
    let bao = store(&pki).await;
    bao.put("secret/data/team/crm", &json!({ "token": "of-kv-2", "other": "x" })).await;
    bao.send("POST", "old/crm", &json!({ "token": "of-kv-1" })).await;
    let mut stores = entry("approle", &bao, &approle(&bao, &json!({})).await, "");

    let made = bao.send("POST", "auth/token/create", &json!({ "policies": ["reader"], "ttl": "1h" })).await;
    let token = bao.file("token", made["auth"]["client_token"].as_str().unwrap());
    stores += &entry("token", &bao, &format!("{{ method: token, token: {{ file: '{token}' }} }}"), "");

    let (key, pem) = issuer();
    bao.send("POST", "sys/auth/idp", &json!({ "type": "jwt" })).await;
    let config = json!({ "jwt_validation_pubkeys": [pem], "jwt_supported_algs": ["ES256"] });
    bao.send("POST", "auth/idp/config", &config).await;
    let role = json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["bao"], "token_policies": "reader" });
    bao.send("POST", "auth/idp/role/app", &role).await;
    let file = bao.file("jwt", &jwt(&key, &claims()));
    let login = format!("{{ method: jwt, mount: idp, role: app, jwt: {{ file: '{file}' }} }}");
    stores += &entry("jwt", &bao, &login, "");

    // The API server of Kubernetes, which reviews the token.
    let kubernetes = MockUpstream::plain().await;
    let user = json!({ "username": "system:serviceaccount:default:app", "uid": "u-1", "groups": [] });
    let review = json!({ "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
        "status": { "authenticated": true, "audiences": ["bao"], "user": user } });
    kubernetes.always(
        MockResponse::status(201).body(review.to_string()).header("Content-Type", "application/json"),
    );
    bao.send("POST", "sys/auth/kubernetes", &json!({ "type": "kubernetes" })).await;
    let config = json!({ "kubernetes_host": kubernetes.url(), "disable_local_ca_jwt": true, "kubernetes_ca_cert": pki.ca_pem(), "disable_iss_validation": true });
    bao.send("POST", "auth/kubernetes/config", &config).await;
    let role = json!({ "bound_service_account_names": "app", "bound_service_account_namespaces": "default",
        "audience": "bao", "token_policies": "reader" });
    bao.send("POST", "auth/kubernetes/role/app", &role).await;
    let login = format!("{{ method: kubernetes, role: app, jwt: {{ file: '{file}' }} }}");
    stores += &entry("kubernetes", &bao, &login, "");

    bao.send("POST", "sys/auth/cert", &json!({ "type": "cert" })).await;
    let role = json!({ "certificate": pki.ca_pem(), "token_policies": "reader" });
    bao.send("POST", "auth/cert/certs/app", &role).await;
    let (certificate, key) = pki.client_pem("app.example");
    let (certificate, key) = (bao.file("client.pem", &certificate), bao.file("client.key", &key));
    let files = format!(", cert_file: '{certificate}', key_file: '{key}'");
    stores += &entry("certificate", &bao, "{ method: certificate, role: app }", &files);

    let names = ["approle", "token", "jwt", "kubernetes", "certificate"];
    let mut services = String::new();
    for name in names {
        // As the command line has it, and as the API has it.
        for (kind, path) in [("new", "secret/team/crm"), ("api", "secret/data/team/crm"), ("old", "old/crm")]
        {
            let secret = format!("{{ store: {name}, path: {path}, field: token }}");
            write!(services, "{}", service(&format!("{name}-{kind}"), &upstream, &secret)).unwrap();
        }
    }
    let sidekey = Sidekey::configured(&configuration(&stores, &services)).start_ready().await;
    let state = Request::get(sidekey.admin_url("/api/v1/services")).send().await.json();
    assert_eq!(state["config"]["problems"], json!([]));
    for name in names {
        assert_sends(&sidekey, &upstream, &format!("{name}-new"), "of-kv-2").await;
        assert_sends(&sidekey, &upstream, &format!("{name}-api"), "of-kv-2").await;
        assert_sends(&sidekey, &upstream, &format!("{name}-old"), "of-kv-1").await;
    }
    assert!(kubernetes.last_request().text().contains(&jwt_of(&file)), "the token is reviewed");
    for secret in ["of-kv", &jwt_of(&file), made["auth"]["client_token"].as_str().unwrap()] {
        assert!(!sidekey.log().contains(secret) && !sidekey.metrics().await.contains(secret));
    }
}

fn jwt_of(file: &str) -> String {
    std::fs::read_to_string(file).unwrap()
}

#[tokio::test]
async fn namespace_and_version_choose_the_secret() {
    let (pki, upstream) = (Pki::new(), MockUpstream::plain().await);
    let bao = store(&pki).await;
    bao.send("POST", "sys/namespaces/team-a", &json!({})).await;
    let mount = json!({ "type": "kv", "options": { "version": "2" } });
    bao.send_in("team-a", "POST", "sys/mounts/secret", &mount).await;
    for token in ["first", "second"] {
        bao.put("secret/data/crm", &json!({ "token": format!("{token}-of-root") })).await;
        let body = json!({ "data": { "token": format!("{token}-of-team") } });
        bao.send_in("team-a", "POST", "secret/data/crm", &body).await;
    }
    let login = format!("{{ method: token, token: {} }}", bao.root_token());
    let team = entry("team", &bao, &login, "").replace("type: vault", "type: vault, namespace: team-a");
    let services = service("root", &upstream, "{ store: root, path: secret/crm, field: token }")
        + &service("team", &upstream, "{ store: team, path: secret/crm, field: token }")
        + &service("first", &upstream, "{ store: team, path: secret/crm, field: token, version: 1 }");
    let text = configuration(&(entry("root", &bao, &login, "") + &team), &services);
    let sidekey = Sidekey::configured(&text).start_ready().await;
    assert_sends(&sidekey, &upstream, "root", "second-of-root").await;
    assert_sends(&sidekey, &upstream, "team", "second-of-team").await;
    assert_sends(&sidekey, &upstream, "first", "first-of-team").await;
    // A version that is deleted: what was read stays in use.
    bao.send_in("team-a", "POST", "secret/delete/crm", &json!({ "versions": [1] })).await;
    let stale = async || {
        let state = Request::get(sidekey.admin_url("/api/v1/services")).send().await.json();
        state["config"]["stale_secrets"].to_string()
    };
    let is_said = async || stale().await.contains("this version of the secret is deleted");
    assert_eventually(TIMEOUT, "the deletion is shown", is_said).await;
    assert!(stale().await.contains("services.first.auth.token"));
    assert_sends(&sidekey, &upstream, "first", "first-of-team").await;
}

#[tokio::test]
async fn secret_is_rotated_and_outlives_a_sealed_and_a_stopped_store() {
    let (pki, upstream) = (Pki::new(), MockUpstream::plain().await);
    let mut bao = store(&pki).await;
    bao.put("secret/data/crm", &json!({ "token": "one" })).await;
    let stores = entry("main", &bao, &approle(&bao, &json!({})).await, "");
    let services = service("crm", &upstream, "{ path: secret/crm, field: token }");
    let sidekey = Sidekey::configured(&configuration(&stores, &services)).start_ready().await;
    assert_sends(&sidekey, &upstream, "crm", "one").await;
    bao.put("secret/data/crm", &json!({ "token": "two" })).await;
    assert_sends(&sidekey, &upstream, "crm", "two").await;
    let stale = async |count: f64| {
        let is_it = async || sidekey.metric("sidekey_stale_secrets", &[]).await == Some(count);
        assert_eventually(TIMEOUT, &format!("{count} are stale"), is_it).await;
    };
    bao.seal().await;
    stale(1.0).await;
    sidekey.logged_like("secret source failed, the previous secret stays in use: Vault at ").await;
    assert_sends(&sidekey, &upstream, "crm", "two").await;
    bao.unseal().await;
    stale(0.0).await;
    bao.put("secret/data/crm", &json!({ "token": "three" })).await;
    assert_sends(&sidekey, &upstream, "crm", "three").await;
    bao.stop();
    stale(1.0).await;
    assert_sends(&sidekey, &upstream, "crm", "three").await;
    bao.start_again().await;
    bao.put("secret/data/crm", &json!({ "token": "four" })).await;
    assert_sends(&sidekey, &upstream, "crm", "four").await;
    stale(0.0).await;
    assert!(sidekey.is_ready().await);
}

#[tokio::test]
async fn login_that_ends_is_renewed_and_then_repeated() {
    let (pki, upstream) = (Pki::new(), MockUpstream::plain().await);
    let bao = store(&pki).await;
    bao.put("secret/data/crm", &json!({ "token": "0" })).await;
    let login = approle(&bao, &json!({ "token_ttl": "3s", "token_max_ttl": "8s" })).await;
    let stores = entry("main", &bao, &login, "");
    let services = service("crm", &upstream, "{ path: secret/crm, field: token }");
    let sidekey = Sidekey::configured(&configuration(&stores, &services)).start_ready().await;
    // For longer than any token lives.
    for value in 1..=12 {
        bao.put("secret/data/crm", &json!({ "token": value.to_string() })).await;
        assert_sends(&sidekey, &upstream, "crm", &value.to_string()).await;
    }
    assert!(!sidekey.log().contains("secret source failed"), "{}", sidekey.log());
    // As if somebody revoked it: the tokens of the role are gone at once.
    bao.send("PUT", "sys/leases/revoke-force/auth/approle/login", &Value::Null).await;
    bao.put("secret/data/crm", &json!({ "token": "after" })).await;
    assert_sends(&sidekey, &upstream, "crm", "after").await;
}
