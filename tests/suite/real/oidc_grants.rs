//! oidc-provider with the grants for a person, refresh token rotation and detection of reuse. (Its `password`
//! and `jwt_bearer` grants are added by the test's script, because it has none; the refreshes after them are
//! its own.)

use std::time::Duration;

use tokio::time::Instant;

use crate::harness::{Login, OidcProvider, Pki, Sidekey, SidekeyBuilder};

/// A Sidekey with a service `api` and these lines of `auth`; the API introspects every token.
fn serving(pki: &Pki, oidc: &OidcProvider, auth: &str) -> SidekeyBuilder {
    let (api, ca) = (oidc.api_url(), pki.ca_file());
    // Otherwise it is discovered.
    let token_url =
        if auth.contains("issuer:") { String::new() } else { format!("token_url: {}", oidc.token_url()) };
    let config = format!(
        "
listen: 127.0.0.1:0
admin: 127.0.0.1:0
log: {{ level: debug, format: json }}
state: {{ dir: $DIR/state, key: {{ file: $DIR/key }} }}
services:
  api:
    upstream: {api}/introspected
    tls: {{ ca_file: '{ca}' }}
    token_wait: 1s
    auth:
      type: oauth2
      {token_url}
      tls: {{ ca_file: '{ca}' }}
      {auth}
"
    );
    Sidekey::configured(&config)
        .file("key", "a key of at least thirty-two characters")
        .file("secret", OidcProvider::SECRET)
}

/// Sends requests, none of which may fail, until the token was refreshed `renewals` times.
async fn works_through_renewals(sidekey: &Sidekey, oidc: &OidcProvider, client: &str, renewals: usize) {
    let fetches = || oidc.log().matches("POST /token 200").count();
    let (before, deadline) = (fetches(), Instant::now() + Duration::from_secs(60));
    while fetches() < before + renewals {
        let response = sidekey.get("/api/x").await;
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.json()["client_id"], client);
        assert!(Instant::now() < deadline, "tokens of a few seconds are renewed in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!oidc.log().contains("invalid_grant"), "no refresh token is spent twice: {}", oidc.log());
}

#[tokio::test]
async fn oidc_password_grant_continues_with_rotated_tokens() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 4).await;
    let auth = "grant_type: password
      client_id: pw
      client_secret: { file: $DIR/secret }
      username: alice
      password: 'wonder land+&é'";
    let sidekey = serving(&pki, &oidc, auth).start_ready().await;
    works_through_renewals(&sidekey, &oidc, "pw", 3).await;
}

#[tokio::test]
async fn oidc_jwt_bearer_assertion_is_verified() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 600).await;
    let auth = format!(
        "grant_type: jwt_bearer
      client_id: pw
      client_secret: {{ file: $DIR/secret }}
      private_key: {{ file: '{}' }}
      claims: {{ sub: alice }}",
        oidc.file("private.pem")
    );
    let sidekey = serving(&pki, &oidc, &auth).start_ready().await;
    let response = sidekey.get("/api/x").await;
    assert_eq!((response.status, response.json()["client_id"].as_str()), (200, Some("pw")));
}

#[tokio::test]
async fn oidc_authorization_code_login_works() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 4).await;
    let auth = format!(
        "grant_type: authorization_code
      issuer: {}
      authorization_params: {{ prompt: consent }}
      client_id: native
      client_secret: {{ file: $DIR/secret }}
      scopes: [openid, offline_access]",
        oidc.issuer()
    );
    let sidekey = serving(&pki, &oidc, &auth).start().await;
    assert_eq!(sidekey.get("/api/x").await.status, 503);
    let mut login = Login::start(&sidekey, &["api"]);
    oidc.browse(&pki, login.address().await.as_str(), "").await;
    assert_eq!(login.ended().await, 0, "{}\n{}", login.output(), oidc.log());
    sidekey.ready().await;
    works_through_renewals(&sidekey, &oidc, "native", 2).await;
}

#[tokio::test]
async fn oidc_device_code_login_works() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 4).await;
    let auth = format!(
        "grant_type: device_code
      issuer: {}
      token_request: {{ params: {{ prompt: consent }} }}
      client_id: device
      scopes: [openid, offline_access]",
        oidc.issuer()
    );
    let sidekey = serving(&pki, &oidc, &auth).start().await;
    let mut login = Login::start(&sidekey, &["api"]);
    login.prints("and enter the code ").await;
    login.prints("Waiting").await;
    let output = login.output();
    let after = |text: &str| output.split(text).nth(1).unwrap().lines().next().unwrap().to_owned();
    let (page, code) = (after("open "), after("enter the code "));
    oidc.browse(&pki, &page, &code).await;
    assert_eq!(login.ended().await, 0, "{}\n{}", login.output(), oidc.log());
    sidekey.ready().await;
    works_through_renewals(&sidekey, &oidc, "device", 2).await;
}
