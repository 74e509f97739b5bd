//! Actions of the admin API on one service: `refresh` (a new token now) and `test` (one request to the
//! upstream).

use std::time::Duration;

use serde_json::{Value, json};

use super::setup::{TOKEN, becomes, get};
use crate::harness::{
    MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, Request, Response, Sidekey,
    openapi_holds,
};
use crate::suite::oauth2::setup::service;

/// Two services, their upstream and a token endpoint.
struct Two {
    sidekey: Sidekey,
    upstream: MockUpstream,
    login: MockTokenEndpoint,
}

impl Two {
    /// `crm` with a token, `mail` with a static credential.
    async fn start(first: MockTokenResponse, auth: &str) -> Self {
        let (upstream, login) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
        login.always(first);
        let crm = service("crm", &upstream, &login, auth, "");
        let sidekey = Sidekey::configured(&format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN} }}\n\
             log: {{ level: debug, format: json }}\nservices:\n  {crm}  \
             mail: {{ upstream: '{}/v2', auth: {{ type: bearer, token: mail-CANARY }} }}\n",
            upstream.url()
        ))
        .start()
        .await;
        Self { sidekey, upstream, login }
    }

    async fn post(&self, path: &str, token: Option<&str>, body: &str) -> Response {
        post(&self.sidekey, path, token, body).await
    }

    async fn done(&self, path: &str, body: &str) -> Value {
        let answer = self.post(path, Some(TOKEN), body).await;
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
        let shown = answer.text();
        assert!(!shown.contains("CANARY") && !shown.contains("s3cret"), "{shown}");
        for token in self.login.issued() {
            assert!(!shown.contains(&token), "{shown}");
        }
        answer.json()
    }

    /// Asserts that the OpenAPI document describes these responses.
    async fn described(&self, action: &str, bodies: &[Value]) {
        let document = get(&self.sidekey, "/api/v1/openapi.json").await;
        let path = format!("/api/v1/services/{{name}}/{action}");
        let answers = bodies.iter().map(|body| {
            json!({ "path": path, "method": "POST", "status": 200, "type": "application/json", "body": body })
        });
        openapi_holds(&document, &answers.collect::<Vec<_>>()).await;
    }
}

async fn post(sidekey: &Sidekey, path: &str, token: Option<&str>, body: &str) -> Response {
    // Longer than the `token_request.min_interval` of the services that are refreshed several times.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let url = sidekey.admin_url(&format!("/api/v1/services/{path}"));
    let mut call = Request::post(url, body.to_owned()).header("Content-Type", "application/json");
    if let Some(token) = token {
        call = call.header("Authorization", &format!("Bearer {token}"));
    }
    call.send().await
}

fn text<'a>(answer: &'a Value, key: &str) -> &'a str {
    answer[key].as_str().unwrap_or_else(|| panic!("{key} in {answer:#}"))
}

#[tokio::test]
async fn admin_refresh_fetches_a_new_token() {
    let two = Two::start(MockTokenResponse::issue(3600), "token_request: { min_interval: 1ms },").await;
    assert_eq!(two.sidekey.get("/crm/").await.status, 200);
    let good = two.done("crm/refresh", "{}").await;
    assert_eq!(good["ok"], true, "{good:#}");
    assert!(text(&good, "message").starts_with("There is a new token; it lives for 3"), "{good:#}");
    assert_eq!((&good["service"]["name"], &good["service"]["state"]), (&json!("crm"), &json!("ready")));
    assert_eq!(two.login.request_count(), 2);
    assert_eq!(two.sidekey.get("/crm/").await.status, 200);
    let sent: Vec<_> =
        two.upstream.requests().iter().map(|r| r.header("authorization").unwrap().to_owned()).collect();
    let issued: Vec<_> = two.login.issued().iter().map(|token| format!("Bearer {token}")).collect();
    assert_eq!(sent, issued, "the next request has the new one");

    two.login.always(MockTokenResponse::error(401, "invalid_client"));
    let bad = two.done("crm/refresh", "{}").await;
    assert_eq!(bad["ok"], false);
    assert!(bad["service"]["token"]["consecutive_failures"].as_u64() >= Some(1), "{bad:#}");
    let message = text(&bad, "message");
    assert!(
        message.contains("invalid_client") && message.ends_with("is used until it expires."),
        "{message}"
    );
    assert_eq!(two.sidekey.get("/crm/").await.status, 200, "what was there is still good");

    two.login.always(MockTokenResponse::issue(3600));
    let again = two.done("crm/refresh", "").await;
    assert_eq!((&again["ok"], &again["service"]["state"]), (&json!(true), &json!("ready")), "{again:#}");
    two.described("refresh", &[good, bad, again]).await;
}

#[tokio::test]
async fn admin_refresh_honours_min_refresh_interval() {
    let two = Two::start(MockTokenResponse::issue(3600), "token_request: { min_interval: 1h },").await;
    becomes(&two.sidekey, "crm", "ready", "ok").await;
    assert_eq!(two.done("crm/refresh", "{}").await["ok"], true);
    assert_eq!(two.login.request_count(), 2);
    for _ in 0..3 {
        let soon = two.done("crm/refresh", "{}").await;
        assert_eq!(soon["ok"], false);
        assert_eq!(
            text(&soon, "message"),
            "Not requested again: the last refresh was requested less than 3600s ago."
        );
    }
    assert_eq!(two.login.request_count(), 2);

    // The last failure is repeated in the message.
    let two =
        Two::start(MockTokenResponse::error(401, "invalid_client"), "token_request: { min_interval: 1h },")
            .await;
    becomes(&two.sidekey, "crm", "refused", "error").await;
    for begins in ["No new token: ", "Not requested again: "] {
        let answer = two.done("crm/refresh", "{}").await;
        let message = text(&answer, "message");
        assert!(message.starts_with(begins) && message.contains("invalid_client"), "{message}");
    }
}

#[tokio::test]
async fn admin_refresh_recovers_service_without_token() {
    let two = Two::start(MockTokenResponse::html(503), "token_request: { min_interval: 1ms },").await;
    two.login.received(1).await;
    let bad = two.done("crm/refresh", "{}").await;
    assert_eq!(bad["ok"], false);
    let message = text(&bad, "message");
    assert!(message.contains("503") && !message.contains("current token"), "{message}");
    let report = two.done("crm/test", "{}").await;
    assert_eq!((&report["ok"], &report["status"]), (&json!(false), &Value::Null));
    assert!(text(&report, "summary").starts_with("No token, so the upstream was not called"), "{report:#}");
    assert_eq!(two.upstream.request_count(), 0);
    two.login.always(MockTokenResponse::issue(3600));
    let good = two.done("crm/refresh", "{}").await;
    assert_eq!((&good["ok"], &good["service"]["ready"]), (&json!(true), &json!(true)), "{good:#}");
    two.described("refresh", &[bad, good]).await;
    two.described("test", &[report]).await;
}

#[tokio::test]
async fn admin_test_calls_upstream_once_and_explains() {
    let two = Two::start(MockTokenResponse::issue(3600), "").await;
    let root = two.done("crm/test", "").await;
    assert_eq!((&root["ok"], &root["status"], &root["method"]), (&json!(true), &json!(200), &json!("GET")));
    assert_eq!(root["token"]["type"], "Bearer");
    assert_eq!(two.upstream.only_request().target, "/");
    let deep = two.done("mail/test", "{\"path\": \"/contacts?limit=1\"}").await;
    assert_eq!((&deep["ok"], &deep["token"]), (&json!(true), &Value::Null));
    assert_eq!(text(&deep, "url"), format!("{}/v2/contacts", two.upstream.url()));
    let request = two.upstream.requests().pop().unwrap();
    assert_eq!(request.target, "/v2/contacts?limit=1");
    assert_eq!(request.header("authorization"), Some("Bearer mail-CANARY"));
    two.upstream.always(
        MockResponse::status(401)
            .header("WWW-Authenticate", "Basic realm=\"mail-CANARY\"")
            .body("mail-CANARY"),
    );
    let refused = two.done("mail/test", "{}").await;
    assert_eq!((&refused["ok"], &refused["status"]), (&json!(false), &json!(401)));
    assert!(text(&refused, "summary").contains("rejects this credential"), "{refused:#}");
    two.upstream.set_accepting(false);
    let unreachable = two.done("mail/test", "{}").await;
    assert_eq!((&unreachable["ok"], &unreachable["status"]), (&json!(false), &Value::Null));
    two.described("test", &[root, deep, refused, unreachable]).await;
    assert!(!two.sidekey.log().contains("CANARY"));
}

#[tokio::test]
async fn admin_test_rejects_path_outside_base_path() {
    let two = Two::start(MockTokenResponse::issue(3600), "").await;
    for path in [
        "",
        "*",
        "contacts",
        "http://evil.example/",
        "@evil.example/",
        "/a b",
        "/\r\nX: y",
        "/\0",
        "/é",
        "/a#b",
        "/../admin",
        "/a/../../admin",
        "/%2e%2e/admin",
        "/..%2Fadmin",
        "/..%5cadmin",
    ] {
        let answer = two.post("mail/test", Some(TOKEN), &json!({ "path": path }).to_string()).await;
        assert_eq!(answer.status, 400, "{path:?}: {}", answer.text());
        assert!(answer.json()["detail"].as_str().unwrap().contains("`path`"), "{path:?}: {}", answer.text());
    }
    for body in ["[", "null", "{\"path\": 5}", "{\"path\": \"/\", \"method\": \"DELETE\"}"] {
        assert_eq!(two.post("mail/test", Some(TOKEN), body).await.status, 400, "{body}");
    }
    assert_eq!(two.post("mail/test", Some(TOKEN), &" ".repeat(20_000)).await.status, 413);
    assert_eq!(two.upstream.request_count(), 0);
}

#[tokio::test]
async fn admin_action_without_permission_has_no_effect() {
    let two = Two::start(MockTokenResponse::issue(3600), "token_request: { min_interval: 1ms },").await;
    two.login.received(1).await;
    let fixed = two.post("mail/refresh", Some(TOKEN), "{}").await;
    assert_eq!((fixed.status, fixed.header("content-type")), (409, Some("application/problem+json")));
    assert!(fixed.text().contains("the credential is static"), "{}", fixed.text());
    for action in ["refresh", "test"] {
        assert_eq!(two.post(&format!("nobody/{action}"), Some(TOKEN), "{}").await.status, 404);
        for token in [None, Some("wrong-token-wrong-token")] {
            assert_eq!(two.post(&format!("crm/{action}"), token, "{}").await.status, 401);
        }
        let url = two.sidekey.admin_url(&format!("/api/v1/services/crm/{action}"));
        let bearer = format!("Bearer {TOKEN}");
        let form = Request::post(url.clone(), "").header("Authorization", &bearer);
        assert_eq!(form.header("Content-Type", "text/plain").send().await.status, 415);
        let foreign = Request::post(url.clone(), "{}").header("Authorization", &bearer);
        let foreign =
            foreign.header("Content-Type", "application/json").header("Origin", "http://evil.example");
        assert_eq!(foreign.send().await.status, 403);
        assert_eq!(Request::get(url).send().await.status, 405);
    }
    assert_eq!((two.login.request_count(), two.upstream.request_count()), (1, 0));

    let reading = Sidekey::serving(&format!(
        "mail: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}",
        two.upstream.url()
    ));
    let reading = reading.start().await;
    for action in ["refresh", "test"] {
        assert_eq!(post(&reading, &format!("mail/{action}"), Some(TOKEN), "{}").await.status, 403);
    }
    assert_eq!(two.upstream.request_count(), 0);
}

/// If a login by a person is required, `refresh` says so immediately.
#[tokio::test]
async fn admin_refresh_reports_login_required() {
    let (upstream, login) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let grant = "token_request: { min_interval: 1ms }, type: oauth2, grant_type: authorization_code, \
                 authorization_url: 'https://login.example.com/authorize'";
    let sidekey = Sidekey::configured(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN} }}\n\
         log: {{ level: debug, format: json }}\nstate: {{ dir: $DIR/state, key: {{ file: $DIR/key }} }}\n\
         services: {{ api: {{ upstream: '{}', auth: {{ {grant}, token_url: '{}', client_id: me }} }} }}\n",
        upstream.url(),
        login.url()
    ));
    let sidekey = sidekey.file("key", "a key of at least thirty-two characters").start().await;
    for _ in 0..2 {
        let answer = post(&sidekey, "api/refresh", Some(TOKEN), "{}").await.json();
        assert_eq!((&answer["ok"], &answer["service"]["state"]), (&json!(false), &json!("login_required")));
        assert!(text(&answer, "message").contains("sidekey login"), "{answer:#}");
    }
    assert_eq!((login.request_count(), upstream.request_count()), (0, 0));
}
