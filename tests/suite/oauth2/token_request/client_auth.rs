//! Client authentication and parameters of token requests, byte for byte where it matters.

use crate::harness::{MockTokenEndpoint, Sidekey, TokenRequest};

/// The token request of a credential with these keys.
async fn sent(auth: &str, query: &str) -> TokenRequest {
    let endpoint = MockTokenEndpoint::plain().await;
    let config = format!(
        "api: {{ upstream: 'http://127.0.0.1:9', auth: {{ {auth} type: oauth2, grant_type: client_credentials, \
         token_url: '{}{query}' }} }}",
        endpoint.url()
    );
    let _sidekey = Sidekey::serving(&config).start_ready().await;
    endpoint.only_request()
}

const WEIRD: &str = "client_id: 'weird:id+', client_secret: 'p@ss %+&=:é',";

#[tokio::test]
async fn client_secret_basic_form_encodes_both_parts() {
    let request = sent(WEIRD, "").await;
    assert_eq!(request.basic().as_deref(), Some("weird%3Aid%2B:p%40ss+%25%2B%26%3D%3A%C3%A9"));
    assert_eq!(request.http.text(), "grant_type=client_credentials", "the secret is sent in one place only");
}

#[tokio::test]
async fn client_secret_basic_raw_leaves_both_parts_unencoded() {
    let auth = "client_id: 'weird+id', client_secret: 'p@ss %+&=:é', basic_auth_encoding: raw,";
    assert_eq!(sent(auth, "").await.basic().as_deref(), Some("weird+id:p@ss %+&=:é"));
}

#[tokio::test]
async fn client_secret_post_sends_the_secret_in_the_form() {
    let request = sent(&format!("{WEIRD} auth_method: client_secret_post,"), "").await;
    assert_eq!(request.authorization, None);
    assert_eq!(
        request.http.text(),
        "grant_type=client_credentials&client_id=weird%3Aid%2B&client_secret=p%40ss+%25%2B%26%3D%3A%C3%A9"
    );
}

#[tokio::test]
async fn client_secret_may_be_empty() {
    let basic = sent("client_id: me, client_secret: '',", "").await;
    assert_eq!(basic.basic().as_deref(), Some("me:"));
    let raw = sent("client_id: me, client_secret: \"\", basic_auth_encoding: raw,", "").await;
    assert_eq!(raw.basic().as_deref(), Some("me:"));
    let post = sent("client_id: me, client_secret: '', auth_method: client_secret_post,", "").await;
    assert_eq!(post.http.text(), "grant_type=client_credentials&client_id=me&client_secret=");
}

/// An empty value is no reason to redact what the endpoint says.
#[tokio::test]
async fn client_secret_that_is_empty_redacts_nothing() {
    let endpoint = MockTokenEndpoint::plain().await;
    endpoint.always(crate::harness::MockTokenResponse::error(401, "invalid_client"));
    let config = format!(
        "api: {{ upstream: 'http://127.0.0.1:9', auth: {{ type: oauth2, grant_type: client_credentials, client_id: me, \
         client_secret: '', token_url: '{}' }} }}",
        endpoint.url()
    );
    let sidekey = Sidekey::serving(&config).start().await;
    let said = sidekey.logged_like("token refused: ").await;
    assert!(said["message"].as_str().unwrap().contains("invalid_client: scripted invalid_client"), "{said}");
}

#[tokio::test]
async fn token_request_sends_scopes_parameters_and_url_query() {
    let auth = "client_id: me, client_secret: s, scopes: [contacts.read, 'https://x/y'], \
                token_request: { params: { audience: 'https://api?a=b', resource: [one, two] } },";
    let request = sent(auth, "?tenant=a%20b&api-version=1").await;
    assert_eq!(request.http.target, "/oauth2/token?tenant=a%20b&api-version=1");
    assert_eq!(request.param("scope"), Some("contacts.read https://x/y"));
    assert_eq!(request.param("audience"), Some("https://api?a=b"));
    let resources: Vec<_> =
        request.form.iter().filter(|(name, _)| name == "resource").map(|(_, v)| v.as_str()).collect();
    assert_eq!(resources, ["one", "two"]);
}

#[tokio::test]
async fn token_request_has_only_the_expected_headers() {
    let request = sent("client_id: me, client_secret: s,", "").await.http;
    assert_eq!((request.method.as_str(), request.version.as_str()), ("POST", "HTTP/1.1"));
    let mut names = request.headers.names();
    names.sort();
    assert_eq!(
        names,
        [
            "accept",
            "accept-encoding",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent"
        ]
    );
    assert_eq!(request.header("accept"), Some("application/json"), "GitHub answers with a form without it");
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.header("user-agent"), Some(concat!("sidekey/", env!("CARGO_PKG_VERSION"))));
}
