//! Each caller gets the token that was issued for it, and no other.

use futures_util::future::join_all;
use serde_json::json;

use super::setup::{EXCHANGE, Issuer, call, echo, number, parameter, service, serving, subject};
use crate::harness::{Http2, MockResponse, Request, Sidekey, TIMEOUT, assert_eventually};
use crate::suite::trust::callers::jwt::{Issuer as Signer, now};
use crate::suite::trust::callers::setup::sha256;

#[tokio::test]
async fn token_exchange_sends_the_token_of_the_caller() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let auth = format!("{EXCHANGE}, subject_token_type: access_token, audience: crm, scopes: [a, b]");
    let sidekey = serving(&upstream, &issuer, &auth, "").await;
    assert!(sidekey.is_ready().await, "no token is needed to be ready");
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1);
    let request = issuer.server.only_request();
    for (name, value) in [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", "alice"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", "crm"),
        ("scope", "a b"),
    ] {
        assert_eq!(parameter(&request, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1, "it is kept");
    assert_eq!(number(&call(&sidekey, "bob").await, "bob"), 2);
    assert_eq!(issuer.requests(), 2);
    let raw = String::from_utf8_lossy(&upstream.last_request().raw_head).into_owned();
    assert!(!raw.contains("Bearer bob"), "{raw}");
}

/// The token of the caller is for the token endpoint alone, wherever the token of the upstream is sent.
#[tokio::test]
async fn token_of_the_caller_is_not_forwarded_beside_another_place() {
    for placement in ["name: X-Token", "in: query, name: access token", "in: cookie, name: sid"] {
        let (upstream, issuer) = (echo().await, Issuer::start().await);
        let auth = format!("{EXCHANGE}, token: {{ {placement} }}");
        let sidekey = serving(&upstream, &issuer, &auth, "").await;
        assert_eq!(call(&sidekey, "CANARY-alice").await.text(), "none", "{placement}");
        let request = upstream.last_request();
        let sent = format!("{} {:?}", request.target, request.headers);
        assert!(sent.contains("for-CANARY-alice-1"), "{placement}: {sent}");
        assert_eq!(sent.matches("CANARY-alice").count(), 1, "{placement}: {sent}");
    }
}

#[tokio::test]
async fn jwt_bearer_sends_the_token_of_the_caller_as_the_assertion() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let auth = "grant_type: jwt_bearer, assertion: { from: caller }, scopes: crm.read";
    let sidekey = serving(&upstream, &issuer, auth, "").await;
    assert_eq!(number(&call(&sidekey, "e30.alice.sig").await, "e30.alice.sig"), 1);
    let request = issuer.server.only_request();
    let grant_type = parameter(&request, "grant_type");
    assert_eq!(grant_type.as_deref(), Some("urn:ietf:params:oauth:grant-type:jwt-bearer"));
    assert_eq!(parameter(&request, "assertion").as_deref(), Some("e30.alice.sig"));
    assert_eq!(parameter(&request, "scope").as_deref(), Some("crm.read"));
}

#[tokio::test]
async fn concurrent_callers_never_get_the_token_of_another() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let sidekey = serving(&upstream, &issuer, EXCHANGE, "").await;
    let gate = issuer.hold();
    let callers = ["alice", "bob", "carol", "dave"];
    let all = (0..200).map(|index| call(&sidekey, callers[index % callers.len()]));
    let opened = async {
        assert_eventually(TIMEOUT, "a token request for each caller", async || {
            issuer.requests() >= callers.len()
        })
        .await;
        gate.open();
    };
    let (responses, ()) = tokio::join!(join_all(all), opened);
    for (index, response) in responses.iter().enumerate() {
        number(response, callers[index % callers.len()]);
    }
    assert_eq!(issuer.requests(), callers.len(), "one token request for each caller, however many requests");
}

#[tokio::test]
async fn streams_of_one_connection_have_tokens_of_their_callers() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let sidekey = serving(&upstream, &issuer, EXCHANGE, "").await;
    let mut http2 = Http2::open(sidekey.address()).await;
    for caller in ["alice", "bob", "alice", "carol", "bob"] {
        let request =
            http::Request::get("http://localhost/api/x").header("authorization", format!("bearer {caller}"));
        let response = http2.call(request.body(()).unwrap()).await;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert!(text.starts_with(&format!("Bearer for-{caller}-")), "{caller} got {text}");
    }
    assert_eq!(issuer.requests(), 3);
}

#[tokio::test]
async fn rejected_token_is_renewed_for_its_caller_alone() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let sidekey = serving(&upstream, &issuer, EXCHANGE, "").await;
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1);
    assert_eq!(number(&call(&sidekey, "bob").await, "bob"), 2);
    upstream.respond_with(|request| match request.header("authorization") {
        Some("Bearer for-alice-1") => MockResponse::status(401),
        other => MockResponse::ok(other.unwrap_or("none").as_bytes()),
    });
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 3, "sent again with a new token");
    assert_eq!(number(&call(&sidekey, "bob").await, "bob"), 2, "the other caller keeps its own");
    assert_eq!(issuer.requests(), 3);
    // Every token is rejected: the 401 is passed on, without one token request after another.
    upstream.respond_with(|_| MockResponse::status(401));
    for _ in 0..5 {
        assert_eq!(call(&sidekey, "bob").await.status, 401);
    }
    assert_eq!(issuer.requests(), 4);
}

#[tokio::test]
async fn reload_with_another_token_request_drops_the_tokens() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let config =
        |auth: &str, more: &str| Sidekey::configuration_serving(&service(&upstream, &issuer, auth, more));
    let sidekey = Sidekey::configured(&config(EXCHANGE, "")).start().await;
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1);
    sidekey.reconfigure(&config(EXCHANGE, ", token_wait: 3s"));
    assert!(sidekey.reload().await);
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1, "the token request is the same");
    let requests = [("service", "api"), ("result", "success"), ("reason", "")];
    assert_eq!(
        sidekey.metric("sidekey_token_requests_total", &requests).await,
        Some(1.0),
        "the series stays"
    );
    sidekey.reconfigure(&config(&format!("{EXCHANGE}, scopes: more"), ""));
    assert!(sidekey.reload().await);
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 2);
    assert_eq!(sidekey.metric("sidekey_caller_tokens", &[("service", "api")]).await, Some(1.0));
    sidekey.reconfigure(
        &config(&format!("{EXCHANGE}, scopes: more").replace("from: caller", "file: $DIR/own"), "")
            .replace("$DIR", &sidekey.dir().display().to_string()),
    );
    sidekey.write("own", "own-subject");
    assert!(sidekey.reload().await);
    assert_eventually(TIMEOUT, "the file is the subject", async || {
        call(&sidekey, "alice").await.text().starts_with("Bearer for-own-subject-")
    })
    .await;
    assert_eq!(sidekey.metric("sidekey_caller_tokens", &[("service", "api")]).await, None);
}

const KEY: &str = "CANARY-key-0123456789abcdefghijkl";

/// A configuration with one caller that is known by a key, and one that is known by a token.
async fn with_callers(upstream: &crate::harness::MockUpstream, issuer: &Issuer, jwks: &str) -> Sidekey {
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {{ level: trace, format: json }}\naccess_log: true\n\
         callers:\n  app: {{ bearer: {{ sha256: {} }} }}\n  \
         user: {{ jwt: {{ issuer: 'https://idp.example', audience: sidekey, jwks_file: $DIR/jwks.json }} }}\n\
         roles: {{ all: {{ callers: [app, user], services: [api] }} }}\nservices:\n  {}\n",
        sha256(KEY),
        service(upstream, issuer, EXCHANGE, "")
    );
    Sidekey::configured(&config).file("jwks.json", jwks).start().await
}

#[tokio::test]
async fn token_by_which_a_caller_is_known_is_the_subject() {
    let (upstream, issuer, signer) = (echo().await, Issuer::start().await, Signer::new("k1"));
    let sidekey = with_callers(&upstream, &issuer, &signer.jwks()).await;
    let token = |name: &str| {
        signer.token(
            &json!({ "iss": "https://idp.example", "aud": "sidekey", "sub": name, "exp": now() + 600 }),
        )
    };
    let (alice, bob) = (token("alice"), token("bob"));
    assert_eq!(number(&call(&sidekey, &alice).await, &alice), 1);
    assert_eq!(number(&call(&sidekey, &bob).await, &bob), 2);
    // The token for the proxy is what the caller is known by. Another token does not replace it.
    let request =
        Request::get(sidekey.url("/api/x")).header("Proxy-Authorization", &format!("Bearer {alice}"));
    let response = request.header("Authorization", &format!("Bearer {bob}")).send().await;
    assert_eq!(number(&response, &alice), 1);
    // A forged token reaches no token endpoint.
    let forged = Signer::new("k1")
        .token(&json!({ "iss": "https://idp.example", "aud": "sidekey", "exp": now() + 600 }));
    assert_eq!(call(&sidekey, &forged).await.status, 401);
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn key_of_a_caller_is_never_a_subject() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let sidekey = with_callers(&upstream, &issuer, &Signer::new("k1").jwks()).await;
    let response = call(&sidekey, KEY).await;
    assert_eq!((response.status, response.sidekey_error()), (401, Some("unauthenticated")));
    let key = format!("Bearer {KEY}");
    let both =
        Request::get(sidekey.url("/api/x")).header("Proxy-Authorization", &key).header("Authorization", &key);
    assert_eq!(both.send().await.status, 401);
    assert_eq!(issuer.requests(), 0, "the key is for Sidekey alone");
    let request = Request::get(sidekey.url("/api/x")).header("Proxy-Authorization", &key);
    let response = request.header("Authorization", "Bearer alice").send().await;
    assert_eq!(number(&response, "alice"), 1, "the caller's own token is beside its key");
    assert_eq!(subject(&issuer.server.only_request()), "alice");
    assert!(!sidekey.log().contains(KEY));
}
