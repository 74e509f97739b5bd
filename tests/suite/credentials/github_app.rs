//! `type: github_app` against a fake that holds GitHub's rules for apps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::harness::{
    MockResponse, MockUpstream, RecordedRequest, Request, Sidekey, TIMEOUT, assert_eventually, jose_verify,
    openssl,
};

/// What GitHub was asked, and how many tokens it has issued.
#[derive(Default)]
struct Seen {
    app_tokens: Mutex<Vec<String>>,
    bodies: Mutex<Vec<Value>>,
    issued: AtomicUsize,
    lookups: AtomicUsize,
}

const INSTALLATION: u64 = 4711;

/// GitHub's API: lookups of the installation, tokens of it, and a resource that needs one.
async fn github(
    answer: impl Fn(usize) -> Option<MockResponse> + Send + Sync + 'static,
) -> (MockUpstream, Arc<Seen>) {
    let (upstream, seen) = (MockUpstream::plain().await, Arc::new(Seen::default()));
    let of_fake = seen.clone();
    upstream.respond_with(move |request| respond(request, &of_fake, &answer));
    (upstream, seen)
}

fn respond(
    request: &RecordedRequest,
    seen: &Seen,
    answer: &dyn Fn(usize) -> Option<MockResponse>,
) -> MockResponse {
    let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let Some(bearer) = bearer.map(str::to_owned) else { return MockResponse::status(401) };
    let is_app = bearer.split('.').count() == 3;
    match (request.method.as_str(), request.path()) {
        (
            "GET",
            "/api/v3/orgs/acme/installation"
            | "/api/v3/users/octocat/installation"
            | "/api/v3/repos/acme/site/installation",
        ) if is_app => {
            seen.lookups.fetch_add(1, Ordering::Relaxed);
            MockResponse::json(&json!({ "id": INSTALLATION, "app_slug": "x" }))
        }
        ("POST", "/api/v3/app/installations/4711/access_tokens") if is_app => {
            assert_eq!(request.header("accept"), Some("application/vnd.github+json"));
            assert!(request.header("user-agent").is_some(), "GitHub answers 403 without it");
            seen.app_tokens.lock().push(bearer);
            seen.bodies.lock().push(serde_json::from_slice(&request.body).unwrap());
            let count = seen.issued.fetch_add(1, Ordering::Relaxed) + 1;
            answer(count).unwrap_or_else(|| token(count, 3600))
        }
        ("GET", "/api/v3/repos/acme/site") if bearer.starts_with("ghs_CANARY") => {
            MockResponse::ok("a repository")
        }
        _ if is_app => answered(404, &json!({ "message": "Not Found" })),
        _ => MockResponse::status(401),
    }
}

fn answered(status: u16, body: &Value) -> MockResponse {
    MockResponse::status(status).body(body.to_string()).header("Content-Type", "application/json")
}

fn token(count: usize, seconds: i64) -> MockResponse {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let end = chrono::DateTime::from_timestamp(i64::try_from(now).unwrap() + seconds, 0).unwrap();
    let end = end.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let body = json!({ "token": format!("ghs_CANARY{count}"), "expires_at": end, "permissions": {} });
    answered(201, &body)
}

fn service(github: &MockUpstream, more: &str) -> String {
    let url = format!("{}/api/v3", github.url());
    format!(
        "gh: {{ upstream: '{url}', token_wait: 1s, auth: {{ type: github_app, app_id: 123456, \
         private_key: {{ file: $DIR/key.pem }}, api_url: '{url}', {more} }} }}"
    )
}

async fn key() -> String {
    openssl("genrsa -traditional 2048").await
}

#[tokio::test]
async fn app_gets_an_installation_token_and_narrows_it() {
    let (github, seen) = github(|_| None).await;
    let pem = key().await;
    let more =
        "installation_id: 4711, repositories: [site, docs], permissions: { contents: read, issues: write }";
    let sidekey = Sidekey::serving(&service(&github, more)).file("key.pem", &pem).start_ready().await;
    let call =
        Request::get(sidekey.url("/gh/repos/acme/site")).header("Authorization", "Bearer ghp_of_the_app");
    assert_eq!(call.send().await.text(), "a repository");
    assert_eq!(sidekey.get("/gh/repos/acme/site").await.status, 200);
    assert_eq!((seen.issued.load(Ordering::Relaxed), seen.lookups.load(Ordering::Relaxed)), (1, 0));
    let expected =
        json!({ "repositories": ["site", "docs"], "permissions": { "contents": "read", "issues": "write" } });
    assert_eq!(seen.bodies.lock()[0], expected);
    let app_token = seen.app_tokens.lock()[0].clone();
    let options = json!({ "issuer": "123456", "maxTokenAge": "120s" });
    let claims = &jose_verify(&app_token, &pem, "RS256", &options).await["claims"];
    let number = |name: &str| claims[name].as_u64().unwrap();
    assert!(number("exp") - number("iat") <= 600, "GitHub accepts ten minutes: {claims}");
    let counted = sidekey.metric("sidekey_token_requests_total", &[("result", "success")]).await;
    assert_eq!(counted, Some(1.0));
    let said = format!("{} {}", sidekey.log(), sidekey.metrics().await);
    assert!(!said.contains("CANARY") && !said.contains(&app_token));
}

#[tokio::test]
async fn installation_is_looked_up_once_by_owner_or_repository() {
    let pem = key().await;
    for more in ["owner: acme", "owner: octocat", "repository: acme/site"] {
        // The first token is replaced at once.
        let (github, seen) = github(|count| (count == 1).then(|| token(count, 2))).await;
        let sidekey = Sidekey::serving(&service(&github, more)).file("key.pem", &pem).start_ready().await;
        let renewed = async || seen.issued.load(Ordering::Relaxed) >= 2;
        assert_eventually(TIMEOUT, "the token is renewed", renewed).await;
        assert_eq!(seen.lookups.load(Ordering::Relaxed), 1, "{more}");
        assert_eq!(seen.bodies.lock()[0], json!({}));
        assert_eq!(sidekey.get("/gh/repos/acme/site").await.status, 200);
    }
}

#[tokio::test]
async fn refusal_of_github_says_what_to_look_at() {
    let pem = key().await;
    let stated = |status: u16, message: &str| answered(status, &json!({ "message": message }));
    for (answer, reason, said) in [
        (
            stated(401, "A JSON web token could not be decoded"),
            "refused",
            "does `private_key` belong to the app",
        ),
        (
            stated(403, "This installation has been suspended"),
            "refused",
            "(This installation has been suspended)",
        ),
        (stated(404, "Not Found"), "refused", "has the app been removed there?"),
        (
            stated(422, "There is at least one repository that does not exist"),
            "refused",
            "`repositories` or `permissions`",
        ),
        (
            stated(403, "API rate limit exceeded")
                .header("X-RateLimit-Remaining", "0")
                .header("X-RateLimit-Reset", "4102444800"),
            "rate_limited",
            "rate limit",
        ),
        (stated(502, ""), "server_error", "answered 502"),
        (MockResponse::ok("<html>"), "malformed", "is `api_url` right?"),
        (
            answered(201, &json!({ "token": "ghs_CANARY", "expires_at": "soon" })),
            "malformed",
            "no usable `expires_at`",
        ),
        (answered(201, &json!({ "expires_at": "2100-01-01T00:00:00Z" })), "malformed", "no usable `token`"),
    ] {
        let (github, _seen) = github(move |_| Some(answer.clone())).await;
        let sidekey =
            Sidekey::serving(&service(&github, "installation_id: 4711")).file("key.pem", &pem).start().await;
        let failed =
            async || sidekey.metric("sidekey_token_requests_total", &[("reason", reason)]).await.is_some();
        assert_eventually(TIMEOUT, &format!("{reason}: {said}"), failed).await;
        let page = Request::get(sidekey.admin_url("/readyz")).send().await.text();
        assert!(page.contains(said) && !page.contains("CANARY"), "{page}");
        assert_eq!(sidekey.get("/gh/repos/acme/site").await.status, 503);
        assert!(!sidekey.log().contains("CANARY"));
    }
    let (github, _seen) = github(|_| None).await;
    let sidekey = Sidekey::serving(&service(&github, "owner: nobody")).file("key.pem", &pem).start().await;
    let told = async || {
        let page = Request::get(sidekey.admin_url("/readyz")).send().await.text();
        page.contains("GitHub knows no installation of the app for nobody")
    };
    assert_eventually(TIMEOUT, "it is not installed", told).await;
}
