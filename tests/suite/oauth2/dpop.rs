//! DPoP (RFC 9449): tokens bound to a key, with a proof in the token request and in every request that uses
//! the token.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::setup::service;
use crate::harness::{
    MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, OidcProvider, Pki, RecordedRequest,
    Request, Sidekey, TIMEOUT, assert_eventually,
};

/// Header and claims of the proof in a request.
fn proof(request: &RecordedRequest) -> (Value, Value) {
    let proof = request.header("dpop").expect("a proof");
    let part = |index| {
        let part = proof.split('.').nth(index).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    (part(0), part(1))
}

async fn logged(sidekey: &Sidekey, text: &str) {
    assert_eventually(TIMEOUT, text, async || sidekey.log().contains(text)).await;
}

fn bound() -> MockTokenResponse {
    MockTokenResponse::json(&json!({ "access_token": "bound", "token_type": "DPoP", "expires_in": 3600 }))
}

#[tokio::test]
async fn dpop_each_request_has_its_own_proof() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(bound());
    let config = service("api", &upstream, &endpoint, "dpop: true,", "");
    let sidekey = Sidekey::serving(&config).start_ready().await;
    for path in ["/api/v1/things?limit=5", "/api"] {
        let call =
            Request::get(sidekey.url(path)).header("DPoP", "mine").header("Authorization", "DPoP mine");
        assert_eq!(call.send().await.status, 200);
    }
    let (header, asked) = proof(&endpoint.only_request().http);
    assert_eq!(
        (&asked["htm"], &asked["htu"], asked.get("ath")),
        (&json!("POST"), &json!(endpoint.url()), None)
    );
    let requests = upstream.requests();
    let (first, second) = (proof(&requests[0]), proof(&requests[1]));
    assert_eq!(requests[0].header("authorization"), Some("DPoP bound"));
    assert_eq!(header["jwk"], first.0["jwk"], "one key for both");
    assert_eq!((&first.1["htm"], &first.1["htu"]), (&json!("GET"), &json!(upstream.url() + "/v1/things")));
    assert_eq!(second.1["htu"], json!(upstream.url() + "/"));
    assert!(
        first.1["ath"].is_string() && first.1["jti"] != second.1["jti"] && first.1["jti"] != asked["jti"]
    );
    let log = sidekey.log();
    assert!(!log.contains(requests[0].header("dpop").unwrap()));
}

#[tokio::test]
async fn dpop_token_request_is_retried_with_nonce_once() {
    let upstream = MockUpstream::plain().await;
    let endpoint = MockTokenEndpoint::plain().await;
    let issued = Arc::new(AtomicUsize::new(0));
    let count = issued.clone();
    endpoint.server().respond_with(move |request| {
        if proof(request).1.get("nonce") == Some(&json!("n-1")) {
            count.fetch_add(1, Ordering::Relaxed);
            return MockResponse::json(
                &json!({ "access_token": "bound", "token_type": "dpop", "expires_in": 2 }),
            );
        }
        let body = json!({ "error": "use_dpop_nonce" }).to_string();
        MockResponse::status(400).header("DPoP-Nonce", "n-1").body(body)
    });
    let config = service("api", &upstream, &endpoint, "dpop: true,", "");
    let _sidekey = Sidekey::serving(&config).start_ready().await;
    let again = async || issued.load(Ordering::Relaxed) >= 2;
    assert_eventually(TIMEOUT, "the token is renewed", again).await;
    // The endpoint may be about to respond to a further refresh.
    let one_retry = async || endpoint.request_count() == issued.load(Ordering::Relaxed) + 1;
    assert_eventually(TIMEOUT, "one retry for the nonce", one_retry).await;
}

#[tokio::test]
async fn dpop_token_endpoint_with_endless_nonces_is_asked_twice() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.server().respond_with(|_| {
        let body = json!({ "error": "use_dpop_nonce" }).to_string();
        MockResponse::status(400).header("DPoP-Nonce", &format!("n-{}", fastrand::u64(..))).body(body)
    });
    let config = service("api", &upstream, &endpoint, "dpop: true,", "");
    let sidekey = Sidekey::serving(&config).start().await;
    logged(&sidekey, "use_dpop_nonce").await;
    assert_eq!(endpoint.request_count(), 2);
    assert_eq!((sidekey.get("/api/").await.status, upstream.request_count()), (503, 0));
}

#[tokio::test]
async fn dpop_token_of_wrong_type_is_rejected() {
    let (upstream, endpoint, other) =
        (MockUpstream::plain().await, MockTokenEndpoint::plain().await, MockTokenEndpoint::plain().await);
    other.always(bound());
    let config = service("unbound", &upstream, &endpoint, "dpop: true,", "")
        + &service("unasked", &upstream, &other, "", "");
    let sidekey = Sidekey::serving(&config).start().await;
    logged(&sidekey, "which is not DPoP; remove `dpop`").await;
    logged(&sidekey, "which is not Bearer; `dpop: true` makes the proofs for it").await;
    for path in ["/unbound/", "/unasked/"] {
        assert_eq!(sidekey.get(path).await.status, 503);
    }
    assert_eq!(upstream.request_count(), 0);
}

/// The response of a resource server that requires a nonce in proofs (RFC 9449 §9).
fn wants_nonce(nonce: &str) -> MockResponse {
    MockResponse::status(401)
        .header("WWW-Authenticate", "DPoP error=\"use_dpop_nonce\"")
        .header("DPoP-Nonce", nonce)
}

async fn replays(sidekey: &Sidekey, result: &str) -> Option<f64> {
    sidekey.metric("sidekey_upstream_retries_total", &[("result", result)]).await
}

#[tokio::test]
async fn dpop_upstream_nonce_causes_one_retry_and_no_refresh() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(bound());
    let wanted = Arc::new(AtomicUsize::new(1));
    let current = wanted.clone();
    upstream.respond_with(move |request| {
        let nonce = format!("r-{}", current.load(Ordering::Relaxed));
        if proof(request).1.get("nonce") == Some(&json!(nonce)) {
            MockResponse::ok("granted")
        } else {
            wants_nonce(&nonce)
        }
    });
    let config = service("api", &upstream, &endpoint, "dpop: true,", "");
    let sidekey = Sidekey::serving(&config).start_ready().await;
    for (path, sent) in [("/api/first", 2), ("/api/second", 3)] {
        assert_eq!(sidekey.get(path).await.text(), "granted");
        assert_eq!(upstream.request_count(), sent, "one retry for the nonce");
    }
    // Another nonce, in the middle of requests with a body.
    wanted.store(2, Ordering::Relaxed);
    for length in [10_000, 10] {
        let response = Request::post(sidekey.url("/api/upload"), "x".repeat(length)).send().await;
        assert_eq!(response.text(), "granted");
        assert_eq!(upstream.last_request().body.len(), length);
    }
    let requests = upstream.requests();
    assert_eq!(requests.len(), 6);
    let (refused, again) = (proof(&requests[3]).1, proof(&requests[4]).1);
    assert_eq!((&refused["nonce"], &again["nonce"]), (&json!("r-1"), &json!("r-2")));
    assert_ne!(refused["jti"], again["jti"], "a proof is used once");
    assert_eq!(requests[4].header("authorization"), Some("DPoP bound"));
    assert_eq!((endpoint.request_count(), replays(&sidekey, "success").await), (1, Some(2.0)));
}

#[tokio::test]
async fn dpop_upstream_with_endless_nonces_gets_one_retry() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(bound());
    upstream.respond_with(|_| wants_nonce(&format!("r-{}", fastrand::u64(..))).body("no"));
    let config = service("api", &upstream, &endpoint, "dpop: true,", "");
    let sidekey = Sidekey::serving(&config).start_ready().await;
    for sent in [2, 4] {
        let response = sidekey.get("/api/x").await;
        assert_eq!((response.status, response.text().as_str()), (401, "no"));
        assert_eq!(upstream.request_count(), sent);
    }
    assert_eq!(endpoint.request_count(), 1, "the token is good");
    assert_eq!(replays(&sidekey, "unauthorized").await, Some(2.0));
}

#[tokio::test]
async fn dpop_invalid_nonce_is_ignored() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(bound());
    upstream.respond_with(|_| wants_nonce("a \\ \"b\""));
    let config = service("api", &upstream, &endpoint, "dpop: true,", "");
    let sidekey = Sidekey::serving(&config).start_ready().await;
    // Like any 401 it may mean a revoked token: one retry with a new one.
    for sent in [2, 3] {
        assert_eq!((sidekey.get("/api/x").await.status, upstream.request_count()), (401, sent));
    }
    assert!(upstream.requests().iter().all(|request| proof(request).1.get("nonce").is_none()));
}

#[tokio::test]
async fn dpop_proofs_are_accepted_by_oidc_provider() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 600).await;
    let (api, url, ca) = (oidc.api_url(), oidc.token_url(), pki.ca_file());
    let config = format!(
        "api: {{ upstream: '{api}/dpop', tls: {{ ca_file: '{ca}' }}, auth: {{ type: oauth2, grant_type: client_credentials, \
         token_url: '{url}', client_id: dpop, client_secret: {}, dpop: true, dpop_key: {{ file: '{}' }}, \
         tls: {{ ca_file: '{ca}' }} }} }}",
        OidcProvider::SECRET,
        oidc.file("private.pem")
    );
    let sidekey = Sidekey::serving(&config).start_ready().await;
    let twice = async || oidc.log().matches("POST /token").count() == 2;
    assert_eventually(TIMEOUT, "the first token request learns the nonce", twice).await;
    // The API's first response has its nonce.
    sidekey.get("/api/x").await;
    for _ in 0..3 {
        let response = sidekey.get("/api/x?a=b").await;
        assert_eq!(
            (response.status, response.json()["client_id"].as_str()),
            (200, Some("dpop")),
            "{}",
            response.text()
        );
    }
}
