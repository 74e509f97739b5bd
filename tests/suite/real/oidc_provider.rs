//! oidc-provider, a certified OAuth2 server, as the identity provider: it validates the token requests,
//! and an API validates the tokens.

use std::time::Duration;

use tokio::time::Instant;

use crate::harness::{OidcProvider, Pki, Sidekey, assert_eventually};

/// A service `api` whose token comes from the provider; `more` are further lines of `auth`.
fn services(
    pki: &Pki,
    oidc: &OidcProvider,
    upstream_path: &str,
    client: &str,
    method: &str,
    more: &str,
) -> String {
    let (api, token_url, ca) = (oidc.api_url(), oidc.token_url(), pki.ca_file());
    format!(
        "
api:
  upstream: {api}{upstream_path}
  tls: {{ ca_file: '{ca}' }}
  token_wait: 1s
  auth:
    type: oauth2
    grant_type: client_credentials
    token_url: {token_url}
    client_id: '{client}'
    client_secret: {{ file: $DIR/secret }}
    auth_method: {method}
    tls: {{ ca_file: '{ca}' }}
    {more}
"
    )
}

/// The secret of the client `weird:id+&`.
const WEIRD_SECRET: &str = "p@ss-word%+&=:x-0123456789-abcdef";

#[tokio::test]
async fn oidc_accepts_client_secret_basic() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 600).await;
    let services = services(&pki, &oidc, "/introspected", "basic", "client_secret_basic", "");
    let sidekey = Sidekey::serving(&services).file("secret", OidcProvider::SECRET).start_ready().await;
    let response = sidekey.get("/api/x").await;
    assert_eq!((response.status, response.json()["client_id"].as_str()), (200, Some("basic")));
    assert_eq!(oidc.log().matches("POST /token 200").count(), 1);
}

#[tokio::test]
async fn oidc_accepts_client_secret_basic_with_special_characters() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 600).await;
    let services = services(&pki, &oidc, "/introspected", "weird:id+&", "client_secret_basic", "");
    let sidekey = Sidekey::serving(&services).file("secret", WEIRD_SECRET).start_ready().await;
    let response = sidekey.get("/api/x").await;
    assert_eq!((response.status, response.json()["client_id"].as_str()), (200, Some("weird:id+&")));
}

#[tokio::test]
async fn oidc_rejection_of_raw_basic_is_503_for_the_caller() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 600).await;
    let raw = "basic_auth_encoding: raw";
    // The percent sign in the secret makes it invalid form encoding.
    let services = services(&pki, &oidc, "/introspected", "basic", "client_secret_basic", raw);
    let sidekey = Sidekey::serving(&services).file("secret", WEIRD_SECRET).start().await;
    let refused = async || oidc.log().contains("POST /token 400 invalid_request");
    assert_eventually(Duration::from_secs(20), "the provider rejects the client", refused).await;
    let response = sidekey.get("/api/x").await;
    assert_eq!((response.status, response.sidekey_error()), (503, Some("credential_unavailable")));
    assert!(!sidekey.is_ready().await);
    assert!(!oidc.log().contains("api GET"), "nothing is sent to the API without a token");
    assert!(!sidekey.log().contains(WEIRD_SECRET), "the secret is not logged");
    let failed = sidekey.metric("sidekey_token_requests_total", &[("result", "failure")]).await;
    assert!(failed.is_some_and(|count| count >= 1.0), "{failed:?}");
}

#[tokio::test]
async fn oidc_accepts_client_secret_post() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 600).await;
    let services = services(&pki, &oidc, "/introspected", "post", "client_secret_post", "");
    let sidekey = Sidekey::serving(&services).file("secret", OidcProvider::SECRET).start_ready().await;
    let response = sidekey.get("/api/x").await;
    assert_eq!((response.status, response.json()["client_id"].as_str()), (200, Some("post")));
}

#[tokio::test]
async fn oidc_issues_jwt_for_requested_resource_and_scopes() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 600).await;
    let more = "token_request: { params: { resource: 'https://api.example.test/' } }\n    scopes: [api:read, api:write]";
    let services = services(&pki, &oidc, "/jwt", "basic", "client_secret_basic", more);
    let sidekey = Sidekey::serving(&services).file("secret", OidcProvider::SECRET).start_ready().await;
    let response = sidekey.get("/api/x").await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.json()["scope"], "api:read api:write");
}

#[tokio::test]
async fn oidc_five_second_tokens_are_refreshed_without_failure() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 5).await;
    let more = "token_request: { params: { resource: 'https://api.example.test/' } }";
    let services = services(&pki, &oidc, "/jwt", "basic", "client_secret_basic", more);
    let sidekey = Sidekey::serving(&services).file("secret", OidcProvider::SECRET).start_ready().await;
    let fetches = || oidc.log().matches("POST /token 200").count();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut sent = 0;
    while fetches() < 4 {
        let response = sidekey.get("/api/x").await;
        sent += 1;
        assert_eq!(response.status, 200, "request {sent}: {}", response.text());
        assert!(Instant::now() < deadline, "a token of five seconds is refreshed in time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(sent > fetches() * 10, "{sent} requests shared {} tokens", fetches());
}
