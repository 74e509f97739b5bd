//! Deviations from the standard that single providers require of a token request.

use serde_json::{Value, json};

use crate::harness::{
    MockResponse, MockTokenEndpoint, MockUpstream, RefusingPort, Sidekey, TIMEOUT, TokenRequest,
    assert_eventually,
};

async fn sent(auth: &str) -> TokenRequest {
    let endpoint = MockTokenEndpoint::plain().await;
    let _sidekey = Sidekey::serving(&service(&endpoint.url(), auth))
        .env("API_KEY", "k3y from the environment")
        .start_ready()
        .await;
    endpoint.only_request()
}

fn service(url: &str, auth: &str) -> String {
    format!(
        "api: {{ upstream: 'http://127.0.0.1:9', auth: {{ type: oauth2, grant_type: client_credentials, \
         token_url: '{url}', client_id: me, client_secret: s3cret, {auth} }} }}"
    )
}

#[tokio::test]
async fn token_request_format_json() {
    let request = sent(
        "auth_method: client_secret_post, scopes: [a, b], token_request: { format: json, \
         params: { audience: 'https://api?a=b', resource: [one, two, three] } }",
    )
    .await;
    assert_eq!(request.http.header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_str(&request.http.text()).unwrap();
    assert_eq!(
        body,
        json!({
            "grant_type": "client_credentials", "client_id": "me", "client_secret": "s3cret", "scope": "a b",
            "audience": "https://api?a=b", "resource": ["one", "two", "three"],
        })
    );
}

#[tokio::test]
async fn token_request_scope_separator_comma() {
    assert_eq!(sent("scope_separator: ',', scopes: [read, write]").await.param("scope"), Some("read,write"));
}

#[tokio::test]
async fn token_request_has_configured_endpoint_headers() {
    let request =
        sent("token_request: { headers: { X-Tenant: acme, Ocp-Apim-Key: { env: API_KEY }, accept: application/vnd.acme+json } }")
            .await;
    assert_eq!(request.http.header("x-tenant"), Some("acme"));
    assert_eq!(request.http.header("ocp-apim-key"), Some("k3y from the environment"));
    assert_eq!(request.http.header("accept"), Some("application/vnd.acme+json"));
    assert!(request.basic().is_some());
}

#[tokio::test]
async fn token_request_uses_configured_proxy_with_password() {
    let proxy = MockUpstream::plain().await;
    proxy.respond_with(|request| {
        // The endpoint is plain HTTP on loopback, so the proxy gets the whole URL.
        assert!(request.target.starts_with("http://127.0.0.1:"), "{}", request.target);
        MockResponse::json(&json!({ "access_token": "proxied", "expires_in": 60 }))
    });
    let elsewhere = RefusingPort::new();
    let endpoint = MockTokenEndpoint::plain().await;
    let auth = format!("proxy: {{ url: '{}', username: me, password: pr0xy }}", proxy.url());
    let _sidekey = Sidekey::serving(&service(&endpoint.url(), &auth))
        .env("HTTP_PROXY", &format!("http://{}", elsewhere.address))
        .start_ready()
        .await;
    assert_eq!(endpoint.request_count(), 0, "nothing bypasses the proxy");
    let login = proxy.only_request().header("proxy-authorization").unwrap().to_owned();
    assert_eq!(login, "Basic bWU6cHIweHk=");
}

#[tokio::test]
async fn token_request_failure_names_unreachable_proxy() {
    let (nothing, endpoint) = (RefusingPort::new(), MockTokenEndpoint::plain().await);
    let sidekey = Sidekey::serving(&service(
        &endpoint.url(),
        &format!("proxy: {{ url: 'http://{}' }}", nothing.address),
    ))
    .start()
    .await;
    let said = async || sidekey.log().contains("through `proxy`");
    assert_eventually(TIMEOUT, "the log names the proxy", said).await;
    assert_eq!(endpoint.request_count(), 0);
}
