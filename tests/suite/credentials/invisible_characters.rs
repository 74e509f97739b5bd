//! A byte order mark and other characters that nobody can see: one rule for every source and every kind.

use std::fs;
use std::path::Path;

use rcgen::KeyPair;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{MockUpstream, Sidekey, TIMEOUT, assert_eventually};
use crate::suite::reload::setup::{bearer, watched};

const VALUE: &str = "a-CANARY-of-some-length-so-that-it-is-a-key";
const OAUTH2: &str = "type: oauth2, token_url: 'https://a.example/t', client_id: a";

/// Every key that holds a secret, as the configuration of a service. `$S` is the secret.
const KEYS: [&str; 12] = [
    "auth: { type: bearer, token: $S }",
    "auth: { type: basic, username: u, password: $S }",
    "auth: { type: basic, username: $S, password: p }",
    "auth: { type: api_key, name: X-Key, value: $S }",
    "auth: { type: api_key, in: query, name: key, value: $S }",
    "auth: { type: header, headers: { X-Key: $S } }",
    "auth: { $OAUTH2, grant_type: client_credentials, client_secret: $S }",
    "auth: { $OAUTH2, grant_type: password, username: u, password: $S }",
    "auth: { $OAUTH2, grant_type: refresh_token, refresh_token: $S }",
    "auth: { $OAUTH2, grant_type: token_exchange, subject_token: $S }",
    "auth: { type: bearer, token: t }, proxy: { url: 'http://a.example:1', username: u, password: $S }",
    "auth: { type: bearer, token: t } }\nadmin: { listen: '127.0.0.1:0', token: $S",
];

/// Where the character stands, and how the message names it.
const PLACES: [(&str, &str, &str); 4] = [
    ("\u{feff}", "", "U+FEFF (byte order mark) at position 1"),
    ("", "\u{200b}", "U+200B (zero width space) at position 44"),
    ("\u{a0}", "", "U+00A0 (no-break space) at position 1"),
    ("\u{e0001}", "", "U+E0001 at position 1"),
];

async fn check(config: &Path, secret: &str) -> (Option<i32>, String) {
    let arguments = ["check", "--config", config.to_str().unwrap()];
    let checked = Sidekey::command(&arguments, &[("SECRET", secret)]).await;
    let printed = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    (checked.status.code(), printed)
}

/// A text in double quotes, whose characters beyond ASCII are escaped.
fn quoted(text: &str) -> String {
    let escape = |c: char| if c.is_ascii() { c.to_string() } else { format!("\\U{:08X}", u32::from(c)) };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

/// Checks every key, with the secret from every source, and returns what is printed for each.
async fn check_all(dir: &Path, secret: &str, keys: &[&str]) -> Vec<(String, Option<i32>, String)> {
    let (file, config) = (dir.join("secret"), dir.join("sidekey.yaml"));
    fs::write(&file, format!("{secret}\n")).unwrap();
    let sources = [
        quoted(secret),
        "{ env: SECRET }".into(),
        format!("{{ file: {} }}", file.display()),
        format!("{{ exec: [cat, {}] }}", file.display()),
    ];
    let mut all = Vec::new();
    for key in keys {
        for source in &sources {
            let service = key.replace("$OAUTH2", OAUTH2).replace("$S", source);
            let text = format!("services:\n  api: {{ upstream: 'https://a.example', {service} }}\n");
            fs::write(&config, text).unwrap();
            let (code, printed) = check(&config, secret).await;
            all.push((service, code, printed));
        }
    }
    all
}

#[tokio::test]
async fn secret_with_an_invisible_character_is_rejected() {
    let dir = TempDir::with_prefix("sidekey-invisible-").unwrap();
    for (service, code, printed) in check_all(dir.path(), VALUE, &KEYS).await {
        assert_eq!(code, Some(0), "{service}: {printed}");
    }
    for (index, (before, after, name)) in PLACES.into_iter().enumerate() {
        // One character for all keys; the others for some.
        let keys = if index == 0 { &KEYS[..] } else { &KEYS[..2] };
        for (service, code, printed) in check_all(dir.path(), &format!("{before}{VALUE}{after}"), keys).await
        {
            assert_eq!(code, Some(78), "{service}: {printed}");
            let named = printed.contains(&format!("contains the invisible character {name}"));
            assert!(named && !printed.contains("CANARY"), "{service}: {printed}");
        }
    }
}

/// What goes out beside a secret, or decides where it goes. `$T` is a text with an invisible character.
const TEXTS: [&str; 20] = [
    "auth: { type: api_key, name: X-Key, prefix: $T, value: s }",
    "auth: { type: api_key, name: $T, value: s }",
    "auth: { type: api_key, in: query, name: $T, value: s }",
    "auth: { type: header, headers: { $T: s } }",
    "auth: { type: hmac, key: s, parts: [method], header: X-Signature, prefix: $T }",
    "auth: { type: basic, username: $T, password: s }",
    "auth: { $OAUTH2, grant_type: client_credentials, client_secret: s, scopes: $T }",
    "auth: { $OAUTH2, grant_type: client_credentials, client_secret: s, scopes: [$T] }",
    "auth: { $OAUTH2, grant_type: client_credentials, client_secret: s, token_request: { params: { audience: $T } } }",
    "auth: { $OAUTH2, grant_type: client_credentials, client_secret: s, token_request: { params: { audience: [a, $T] } } }",
    "auth: { $OAUTH2, grant_type: client_credentials, client_secret: s, token_request: { params: { $T: a } } }",
    "auth: { $OAUTH2, grant_type: client_credentials, client_secret: s, token_request: { headers: { X-Tenant: $T } } }",
    "auth: { $OAUTH2, grant_type: client_credentials, client_secret: s, accept_token_type: $T }",
    "auth: { $OAUTH2, grant_type: client_credentials, auth_method: client_secret_jwt, client_secret: s, assertion_audience: $T }",
    "auth: { $OAUTH2, grant_type: password, username: $T, password: s }",
    "auth: { $OAUTH2, grant_type: jwt_bearer, claims: { sub: $T }, private_key: s }",
    "auth: { $OAUTH2, grant_type: jwt_bearer, claims: { $T: a }, private_key: s }",
    "auth: { $OAUTH2, grant_type: jwt_bearer, claims: { sub: { a: [b, $T] } }, private_key: s }",
    "auth: { $OAUTH2, grant_type: token_exchange, subject_token: s, audience: $T }",
    "auth: { type: bearer, token: s }, proxy: { url: 'http://a.example:1', username: $T, password: s }",
];

#[tokio::test]
async fn text_beside_a_secret_with_an_invisible_character_is_rejected() {
    let dir = TempDir::with_prefix("sidekey-invisible-").unwrap();
    let config = dir.path().join("sidekey.yaml");
    for service in TEXTS {
        for text in ["a\u{200b}b", "\u{feff}ab", "ab\u{a0}"] {
            let service = service.replace("$OAUTH2", OAUTH2).replace("$T", &quoted(text));
            fs::write(&config, format!("services:\n  api: {{ upstream: 'https://a.example', {service} }}\n"))
                .unwrap();
            let (code, printed) = check(&config, "").await;
            assert_eq!(code, Some(78), "{service}: {printed}");
            assert!(printed.contains("the invisible character U+"), "{service}: {printed}");
        }
    }
}

#[tokio::test]
async fn private_key_with_a_byte_order_mark_is_rejected() {
    let dir = TempDir::with_prefix("sidekey-invisible-").unwrap();
    let (file, config) = (dir.path().join("key"), dir.path().join("sidekey.yaml"));
    let pem = KeyPair::generate().unwrap().serialize_pem();
    let account = json!({ "client_email": "a@b.example", "private_key": pem, "private_key_id": "1" });
    let jwt = "auth: { $OAUTH2, grant_type: jwt_bearer, claims: { sub: a }, private_key: { file: $F } }";
    let google = "auth: { type: oauth2, token_url: 'https://a.example/t', grant_type: jwt_bearer, claims: { sub: a }, service_account_file: $F }";
    let listener = "auth: { type: bearer, token: t }, listen: { address: '127.0.0.1:0', tls: { cert_file: $F, key_file: $F } }";
    for (service, content) in [(jwt, pem.as_str()), (google, &account.to_string()), (listener, pem.as_str())]
    {
        let service = service.replace("$OAUTH2", OAUTH2).replace("$F", file.to_str().unwrap());
        fs::write(&config, format!("services:\n  api: {{ upstream: 'https://a.example', {service} }}\n"))
            .unwrap();
        fs::write(&file, format!("\u{feff}{content}")).unwrap();
        let (code, printed) = check(&config, "").await;
        assert_eq!(code, Some(78), "{service}: {printed}");
        assert!(printed.contains(file.to_str().unwrap()) && printed.contains("U+FEFF"), "{printed}");
    }
}

#[tokio::test]
async fn secret_that_gets_a_byte_order_mark_is_not_taken() {
    let upstream = MockUpstream::plain().await;
    let text = watched(&bearer("api", &upstream, "{ file: $DIR/secret }"));
    let sidekey = Sidekey::configured(&text).file("secret", "one").start().await;
    sidekey.write("secret", "\u{feff}CANARY");
    let failures = async || sidekey.metric("sidekey_secret_reload_total", &[("result", "failure")]).await;
    assert_eventually(TIMEOUT, "it is rejected", async || failures().await >= Some(1.0)).await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    assert_eq!(upstream.last_request().header("authorization"), Some("Bearer one"));
    let log = sidekey.log();
    assert!(log.contains("U+FEFF (byte order mark) at position 1") && !log.contains("CANARY"), "{log}");
    sidekey.write("secret", "two");
    assert_eventually(TIMEOUT, "the next one is sent", async || {
        assert_eq!(sidekey.get("/api/x").await.status, 200);
        upstream.last_request().header("authorization") == Some("Bearer two")
    })
    .await;
}
