//! One typical flow of each kind of credential, as an API's documentation shows it.

use serde_json::json;

use crate::harness::{MockTokenEndpoint, MockTokenResponse, MockUpstream, Pki, Request, Sidekey};

/// The response in the token endpoint's documentation, to the letter.
fn documented_answer() -> MockTokenResponse {
    MockTokenResponse::json(
        &json!({ "token_type": "Bearer", "expires_in": 3600, "access_token": "eyJ0eXAiOiJKV1Qi.e30.c2ln" }),
    )
}

#[tokio::test]
async fn client_credentials_with_client_secret_basic() {
    let pki = Pki::new();
    let (upstream, login) = (MockUpstream::tls(&pki).await, MockTokenEndpoint::tls(&pki).await);
    login.always(documented_answer());
    let token_url = login.server().url() + "/oauth/v2/token";
    let sidekey = Sidekey::serving(&format!(
        "
crm:
  upstream: {}/v2
  tls: {{ ca_file: '{ca}' }}
  auth:
    type: oauth2
    grant_type: client_credentials
    token_url: {token_url}
    client_id: crm-sync
    client_secret: {{ file: $DIR/crm-secret }}
    auth_method: client_secret_basic
    tls: {{ ca_file: '{ca}' }}
",
        upstream.url(),
        ca = pki.ca_file(),
    ))
    .file("crm-secret", "s3cr3t\n")
    .start_ready()
    .await;

    let token_request = login.only_request();
    assert_eq!((token_request.http.method.as_str(), token_request.http.path()), ("POST", "/oauth/v2/token"));
    assert_eq!(token_request.http.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(token_request.basic().as_deref(), Some("crm-sync:s3cr3t"));
    assert_eq!(token_request.http.text(), "grant_type=client_credentials");

    for _ in 0..3 {
        assert_eq!(sidekey.get("/crm/contacts?page=2").await.status, 200);
    }
    for request in upstream.requests() {
        assert_eq!(request.target, "/v2/contacts?page=2");
        assert_eq!(request.header("authorization"), Some("Bearer eyJ0eXAiOiJKV1Qi.e30.c2ln"));
    }
    assert_eq!(login.request_count(), 1, "the token is reused");
}

#[tokio::test]
async fn client_credentials_with_client_secret_post() {
    let (upstream, login) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    login.always(documented_answer());
    let sidekey = Sidekey::serving(&format!(
        "
erp:
  upstream: {}
  auth:
    type: oauth2
    grant_type: client_credentials
    token_url: {}
    client_id: erp-import
    client_secret: {{ env: ERP_SECRET }}
    auth_method: client_secret_post
",
        upstream.url(),
        login.url(),
    ))
    .env("ERP_SECRET", "p&ss w=rd")
    .start_ready()
    .await;

    let token_request = login.only_request();
    assert_eq!(token_request.http.path(), "/oauth2/token");
    assert_eq!(token_request.authorization, None);
    assert_eq!(token_request.param("grant_type"), Some("client_credentials"));
    assert_eq!(token_request.param("client_id"), Some("erp-import"));
    assert_eq!(token_request.param("client_secret"), Some("p&ss w=rd"));

    assert_eq!(Request::post(sidekey.url("/erp/orders"), "{}").send().await.status, 200);
    let request = upstream.only_request();
    assert_eq!(request.header("authorization"), Some("Bearer eyJ0eXAiOiJKV1Qi.e30.c2ln"));
    assert_eq!(
        (request.method.as_str(), request.target.as_str(), request.text().as_str()),
        ("POST", "/orders", "{}")
    );
}

#[tokio::test]
async fn api_key_in_header() {
    let upstream = MockUpstream::plain().await;
    let auth = "{ type: api_key, in: header, name: X-API-Key, value: k3y }";
    let sidekey = Sidekey::serving(&service(&upstream, auth)).start_ready().await;
    assert_eq!(sidekey.get("/api/v1/items").await.status, 200);
    let request = upstream.only_request();
    assert_eq!((request.target.as_str(), request.header("x-api-key")), ("/v1/items", Some("k3y")));
}

#[tokio::test]
async fn api_key_in_query() {
    let upstream = MockUpstream::plain().await;
    let auth = "{ type: api_key, in: query, name: key, value: 'k&y 1' }";
    let sidekey = Sidekey::serving(&service(&upstream, auth)).start_ready().await;
    assert_eq!(sidekey.get("/api/geocode?address=K%C3%B6ln&x").await.status, 200);
    assert_eq!(sidekey.get("/api/geocode").await.status, 200);
    let requests = upstream.requests();
    let query = |index: usize| requests[index].query().unwrap().to_owned();
    assert!(query(0).starts_with("address=K%C3%B6ln&x&key="), "{}", query(0));
    for index in [0, 1] {
        let pairs: Vec<_> = form_urlencoded::parse(query(index).as_bytes()).into_owned().collect();
        assert_eq!(pairs.last().unwrap(), &("key".to_owned(), "k&y 1".to_owned()));
    }
}

#[tokio::test]
async fn api_key_in_cookie() {
    let upstream = MockUpstream::plain().await;
    let auth = "{ type: api_key, in: cookie, name: session, value: k3y }";
    let sidekey = Sidekey::serving(&service(&upstream, auth)).start_ready().await;
    assert_eq!(Request::get(sidekey.url("/api/")).header("Cookie", "theme=dark").send().await.status, 200);
    let request = upstream.only_request();
    let cookies: Vec<_> =
        request.headers.all("cookie").iter().flat_map(|line| line.split("; ")).map(str::to_owned).collect();
    assert_eq!(cookies, ["theme=dark", "session=k3y"]);
}

#[tokio::test]
async fn static_bearer_token() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::serving(&service(&upstream, "{ type: bearer, token: { env: T } }"))
        .env("T", "t0ken")
        .start_ready()
        .await;
    assert_eq!(sidekey.get("/api/v1/mail").await.status, 200);
    assert_eq!(upstream.only_request().header("authorization"), Some("Bearer t0ken"));
}

#[tokio::test]
async fn basic_authentication() {
    let upstream = MockUpstream::plain().await;
    let auth = "{ type: basic, username: Aladdin, password: { file: $DIR/password } }";
    let sidekey =
        Sidekey::serving(&service(&upstream, auth)).file("password", "open sesame\n").start_ready().await;
    assert_eq!(sidekey.get("/api/").await.status, 200);
    // The example of RFC 7617 §2.
    assert_eq!(upstream.only_request().header("authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
}

fn service(upstream: &MockUpstream, auth: &str) -> String {
    format!("api: {{ upstream: '{}', auth: {auth} }}", upstream.url())
}
