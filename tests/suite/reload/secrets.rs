//! Every kind of secret is rotated under load: no request fails, and the new secret is used
//! from then on.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use rcgen::{KeyPair, PublicKeyData as _};
use ring::hmac;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::json;

use super::setup::watched;
use crate::harness::{
    Load, MockResponse, MockTokenEndpoint, MockUpstream, RecordedRequest, SecretMount, Sidekey, TIMEOUT,
    TokenRequest, UpdateStyle, assert_eventually,
};

const ROUNDS: usize = 2;

/// Static credentials: name, `auth` with `$S` for the secret, and the field with the secret.
const STATIC: [(&str, &str, &str); 8] = [
    ("basic", "type: basic, username: u, password: $S", "authorization"),
    ("user", "type: basic, username: $S, password: p", "authorization"),
    ("bearer", "type: bearer, token: $S", "authorization"),
    ("header", "type: api_key, in: header, name: X-Key, value: $S", "x-key"),
    ("query", "type: api_key, in: query, name: key, value: $S", ""),
    ("cookie", "type: api_key, in: cookie, name: key, value: $S", "cookie"),
    (
        "aws",
        "type: aws_sigv4, service: s3, region: eu-west-1, access_key_id: AKIDEXAMPLE, secret_access_key: $S, session_token: $S",
        "x-amz-security-token",
    ),
    ("exec", "type: bearer, token: { exec: [cat, $M/exec], refresh_interval: 1s }", "authorization"),
];

/// OAuth2 credentials: name, keys of `auth` with `$S` for the secret, and how a request shows the secret.
const OAUTH2: [(&str, &str, Proof); 10] = [
    ("in_basic", "grant_type: client_credentials, client_secret: $S", Proof::InBasic),
    (
        "in_form",
        "grant_type: client_credentials, client_secret: $S, auth_method: client_secret_post",
        Proof::Param("client_secret"),
    ),
    (
        "hmac",
        "grant_type: client_credentials, client_secret: $S, auth_method: client_secret_jwt",
        Proof::Hmac,
    ),
    (
        "assertion",
        "grant_type: client_credentials, private_key: $S, auth_method: private_key_jwt",
        Proof::Signed("client_assertion"),
    ),
    (
        "password",
        "grant_type: password, username: u, password: $S, auth_method: none",
        Proof::Param("password"),
    ),
    (
        "seed",
        "grant_type: refresh_token, refresh_token: $S, auth_method: none",
        Proof::Param("refresh_token"),
    ),
    ("jwt_bearer", "grant_type: jwt_bearer, private_key: $S, claims: { sub: a }", Proof::Signed("assertion")),
    (
        "dpop",
        "grant_type: client_credentials, client_secret: s3cret, dpop: true, dpop_key: $S",
        Proof::OfPossession,
    ),
    (
        "exec_key",
        "grant_type: client_credentials, private_key: { exec: [cat, $M/exec_key], refresh_interval: 1s }, \
         auth_method: private_key_jwt",
        Proof::Signed("client_assertion"),
    ),
    ("google", "grant_type: jwt_bearer, service_account_file: $M/google", Proof::Signed("assertion")),
];

/// How a token request shows which secret it was made with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    InBasic,
    Param(&'static str),
    Hmac,
    Signed(&'static str),
    /// In the field `DPoP` (RFC 9449); the token is bound to its key.
    OfPossession,
}

/// One version of one secret.
struct Secret {
    file: String,
    key: Option<KeyPair>,
}

impl Secret {
    fn new(name: &str, round: usize) -> Self {
        let is_key = OAUTH2
            .iter()
            .any(|(kind, _, proof)| *kind == name && matches!(proof, Proof::Signed(_) | Proof::OfPossession));
        if !is_key {
            return Self { file: format!("secret-of-{name}-number-{round}-and-long-enough"), key: None };
        }
        let key = KeyPair::generate().unwrap();
        let pem = key.serialize_pem();
        let account = json!({ "client_email": "me@example.com", "private_key_id": format!("k{round}"), "private_key": pem });
        let file = if name == "google" { account.to_string() } else { pem };
        Self { file, key: Some(key) }
    }

    fn made(&self, request: &TokenRequest, proof: Proof) -> bool {
        match proof {
            Proof::InBasic => request.basic().is_some_and(|basic| basic.contains(&self.file)),
            Proof::Param(name) => request.param(name) == Some(&self.file),
            Proof::Hmac => {
                let (signed, signature) = parts(request.param("client_assertion").unwrap());
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.file.as_bytes());
                hmac::verify(&key, signed.as_bytes(), &signature).is_ok()
            }
            Proof::Signed(name) => self.signed(request.param(name).unwrap()),
            Proof::OfPossession => self.signed(request.http.header("dpop").unwrap()),
        }
    }

    fn signed(&self, token: &str) -> bool {
        let (signed, signature) = parts(token);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.as_ref().unwrap().der_bytes());
        key.verify(signed.as_bytes(), &signature).is_ok()
    }
}

/// The signed part of a JWS, and the signature.
fn parts(token: &str) -> (&str, Vec<u8>) {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    (signed, BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap())
}

/// A token that is bound to the public key in the request's proof.
fn bound_to(request: &RecordedRequest) -> String {
    let proof = request.header("dpop").expect("a proof");
    let head = BASE64_URL_SAFE_NO_PAD.decode(proof.split('.').next().unwrap()).unwrap();
    let head: serde_json::Value = serde_json::from_slice(&head).unwrap();
    format!("bound-to-{}", head["jwk"]["x"].as_str().unwrap())
}

/// The part of a request that contains a static secret.
fn shown(request: &crate::harness::RecordedRequest, field: &str) -> String {
    let text =
        if field.is_empty() { request.target.clone() } else { request.header(field).unwrap().to_owned() };
    match text.strip_prefix("Basic ") {
        Some(encoded) => String::from_utf8(BASE64_STANDARD.decode(encoded).unwrap()).unwrap(),
        None => text,
    }
}

/// The versions of each static secret that the upstream accepts.
type Accepted = Arc<Mutex<HashMap<&'static str, Vec<String>>>>;
/// The version of each static secret that the upstream accepted last.
type Last = Arc<Mutex<HashMap<&'static str, String>>>;

/// An upstream that accepts the listed secrets, a token with a proof by its key, and any other token.
fn upstream_accepting(
    accepted: Accepted,
    last: Last,
) -> impl Fn(&RecordedRequest) -> MockResponse + Send + Sync + 'static {
    move |request: &RecordedRequest| {
        if request.target.starts_with("/dpop") {
            // A proof by another key than the token's is rejected.
            let is_bound = request.header("authorization") == Some(&format!("DPoP {}", bound_to(request)));
            return if is_bound { MockResponse::ok("bound") } else { MockResponse::status(401).body("no") };
        }
        let Some((name, _, field)) = STATIC.iter().find(|kind| {
            request.target.strip_prefix('/').is_some_and(|rest| rest.split('?').next() == Some(kind.0))
        }) else {
            return MockResponse::ok("a token");
        };
        let shown = shown(request, field);
        let good = accepted.lock()[name].iter().find(|secret| shown.contains(*secret)).cloned();
        match good {
            Some(secret) => {
                last.lock().insert(name, secret);
                MockResponse::ok("granted")
            }
            None => MockResponse::status(401).body("no"),
        }
    }
}

#[expect(clippy::needless_range_loop, reason = "a round is one version of each of many secrets")]
async fn rotate_all_kinds(style: UpdateStyle) {
    let names: Vec<_> = STATIC.iter().map(|kind| kind.0).chain(OAUTH2.iter().map(|kind| kind.0)).collect();
    let versions: HashMap<_, Vec<_>> = names
        .iter()
        .map(|&name| (name, (0..=ROUNDS).map(|round| Secret::new(name, round)).collect()))
        .collect();
    let files = |round: usize| -> Vec<_> {
        names.iter().map(|&name| (name, versions[name][round].file.as_str())).collect()
    };
    let mount = SecretMount::new(style, &files(0));
    let upstream = MockUpstream::plain().await;
    let mut services = String::new();
    let mut endpoints = HashMap::new();
    for (name, auth, _) in STATIC {
        writeln!(services, "{name}: {{ upstream: '{}', auth: {{ {auth} }} }}", upstream.url()).unwrap();
    }
    for (name, auth, _) in OAUTH2 {
        let endpoint = MockTokenEndpoint::plain().await;
        let client = if name == "google" { "" } else { "client_id: me, " };
        writeln!(
            services,
            "{name}: {{ upstream: '{}', auth: {{ type: oauth2, token_url: '{}', {client}{auth} }} }}",
            upstream.url(),
            endpoint.url()
        )
        .unwrap();
        if name == "dpop" {
            endpoint.server().respond_with(|request| {
                let token = bound_to(request);
                MockResponse::json(
                    &json!({ "access_token": token, "token_type": "DPoP", "expires_in": 3600 }),
                )
            });
        }
        endpoints.insert(name, endpoint);
    }
    let secret = |name: &str| format!("{{ file: $M/{name} }}");
    let services: String = services
        .lines()
        .map(|line| line.replace("$S", &secret(line.split(':').next().unwrap())) + "\n")
        .collect();
    let services = services.replace("$M", mount.path());

    // At first the upstream accepts the first version only.
    let (accepted, last) = (Accepted::default(), Last::default());
    for (name, ..) in STATIC {
        accepted.lock().insert(name, vec![versions[name][0].file.clone()]);
    }
    upstream.respond_with(upstream_accepting(accepted.clone(), last.clone()));
    let text = watched(&services)
        .replace("level: debug", "level: info")
        .replace("access_log: true", "access_log: false");
    let sidekey = Sidekey::configured(&text).start_ready().await;
    let paths: Vec<_> = names.iter().map(|name| format!("/{name}/{name}")).collect();
    let load = Load::start(sidekey.address(), &paths.iter().map(String::as_str).collect::<Vec<_>>());
    load.answers(50).await;
    for round in 1..=ROUNDS {
        for (name, _, field) in STATIC {
            accepted.lock().get_mut(name).unwrap().push(versions[name][round].file.clone());
            let file = (name, versions[name][round].file.as_str());
            mount.replace(&[file], async || load.answers(3).await).await;
            let now = versions[name][round].file.clone();
            assert_eventually(TIMEOUT, &format!("the new secret is used: {name} {field}"), async || {
                last.lock()[name] == now
            })
            .await;
            // The old version is revoked.
            *accepted.lock().get_mut(name).unwrap() = vec![now];
        }
        for (name, _, proof) in OAUTH2 {
            let secret = &versions[name][round];
            mount.replace(&[(name, secret.file.as_str())], async || load.answers(3).await).await;
            let made =
                async || endpoints[name].requests().last().is_some_and(|request| secret.made(request, proof));
            assert_eventually(TIMEOUT, &format!("a token request with the new secret: {name}"), made).await;
        }
        load.answers(3 * names.len()).await;
    }
    let outcome = load.stop().await;
    assert_eq!(outcome.failures, Vec::<String>::new(), "of {}\n{}", outcome.answered, sidekey.log());
    for (name, endpoint) in &endpoints {
        assert_eq!(endpoint.request_count(), 1 + ROUNDS, "one token for each secret: {name}");
    }
    let failures = sidekey.metric("sidekey_secret_reload_total", &[("result", "failure")]).await;
    assert_eq!(failures, Some(0.0), "{}", sidekey.log());
    assert!(!sidekey.log().contains("secret-of-") && !sidekey.log().contains("BEGIN"));
}

#[tokio::test]
async fn secrets_rotate_by_symlink_swap_under_load() {
    rotate_all_kinds(UpdateStyle::Symlink).await;
}

#[tokio::test]
async fn secrets_rotate_by_rename_under_load() {
    rotate_all_kinds(UpdateStyle::Rename).await;
}
