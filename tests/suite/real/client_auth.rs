//! Every method of client authentication against oidc-provider, a certified OAuth2 server.

use serde_json::json;

use crate::harness::{OidcProvider, Pki, Sidekey, TIMEOUT, assert_eventually, jose_sign};

/// A service `api` of this client; `auth` are further keys of its credential.
fn service(pki: &Pki, oidc: &OidcProvider, client: &str, auth: &str) -> String {
    let (api, issuer, ca) = (oidc.api_url(), oidc.issuer(), pki.ca_file());
    let tls = if auth.contains("tls:") { String::new() } else { format!("tls: {{ ca_file: '{ca}' }},") };
    let place =
        if auth.contains("issuer:") { String::new() } else { format!("token_url: '{issuer}/token',") };
    format!(
        "api: {{ upstream: '{api}/introspected', tls: {{ ca_file: '{ca}' }}, auth: {{ type: oauth2, \
         grant_type: client_credentials, client_id: {client}, {place} {tls} {auth} }} }}"
    )
}

async fn assert_accepted(pki: &Pki, oidc: &OidcProvider, client: &str, auth: &str) {
    let sidekey = Sidekey::serving(&service(pki, oidc, client, auth)).start_ready().await;
    let response = sidekey.get("/api/x").await;
    assert_eq!((response.status, response.json()["client_id"].as_str()), (200, Some(client)));
}

#[tokio::test]
async fn oidc_provider_accepts_assertions() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 600).await;
    let secret = format!("auth_method: client_secret_jwt, client_secret: {}", OidcProvider::SECRET);
    assert_accepted(&pki, &oidc, "csjwt", &secret).await;
    let key = format!(
        "auth_method: private_key_jwt, key_id: key-1, private_key: {{ file: '{}' }}",
        oidc.file("private.pem")
    );
    assert_accepted(&pki, &oidc, "pkjwt", &key).await;
    // With discovery by the issuer, which is then the audience as well.
    assert_accepted(&pki, &oidc, "pkjwt", &format!("{key}, issuer: '{}'", oidc.issuer())).await;
}

#[tokio::test]
async fn oidc_provider_accepts_client_certificates() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 600).await;
    for (client, method, stem) in
        [("tls", "tls_client_auth", "client"), ("self", "self_signed_tls_client_auth", "self")]
    {
        let tls = format!(
            "tls: {{ ca_file: '{}', cert_file: '{}', key_file: '{}' }}",
            pki.ca_file(),
            oidc.file(&format!("{stem}.pem")),
            oidc.file(&format!("{stem}.key"))
        );
        let sidekey =
            Sidekey::serving(&service(&pki, &oidc, client, &format!("auth_method: {method}, {tls}")));
        let _sidekey = sidekey.start_ready().await;
    }
    let both = async || oidc.log().matches("POST /token 200").count() == 2;
    assert_eventually(TIMEOUT, "both clients have a token", both).await;
}

/// The provider accepts an assertion once (`jti`), so that each token request must have what the file has then.
#[tokio::test]
async fn oidc_provider_accepts_an_assertion_from_a_file() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 4).await;
    let key = std::fs::read_to_string(oidc.file("private.pem")).unwrap();
    let assertion = async |id: &str| {
        let claims = json!({ "iss": "pkjwt", "sub": "pkjwt", "aud": oidc.token_url(), "jti": id });
        jose_sign(&claims, &key, "ES256", 120).await
    };
    let auth = "auth_method: client_assertion, client_assertion: { file: $DIR/assertion }";
    let service = service(&pki, &oidc, "pkjwt", auth).replace("upstream:", "token_wait: 500ms, upstream:");
    let sidekey = Sidekey::serving(&service).file("assertion", &assertion("one").await).start_ready().await;
    let response = sidekey.get("/api/x").await;
    assert_eq!((response.status, response.json()["client_id"].as_str()), (200, Some("pkjwt")));

    // The same assertion again is a replay.
    let refused = async || oidc.log().contains("POST /token 401 invalid_client");
    assert_eventually(TIMEOUT, "the provider refuses a replay", refused).await;
    sidekey.write("assertion", &assertion("two").await);
    let issued = async || oidc.log().matches("POST /token 200").count() == 2;
    assert_eventually(TIMEOUT, "the new assertion is accepted", issued).await;
}

#[tokio::test]
async fn oidc_provider_endpoint_is_discovered_by_issuer() {
    let pki = Pki::new();
    let oidc = OidcProvider::issuing(&pki, 600).await;
    let auth = format!("issuer: '{}', client_secret: {}", oidc.issuer(), OidcProvider::SECRET);
    assert_accepted(&pki, &oidc, "basic", &auth).await;
    assert_eq!(oidc.log().matches("GET /.well-known/openid-configuration 200").count(), 1);
}
