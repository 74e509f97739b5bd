//! Authorization code with PKCE, with a browser on this machine.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest;
use serde_json::json;

use super::setup::{CODE_GRANT, issued, log_in, serving};
use crate::harness::{
    Login, MockTokenEndpoint, MockTokenResponse, MockUpstream, Request, TIMEOUT, assert_eventually, free_port,
};
use crate::suite::oauth2::setup::no_credential;

#[tokio::test]
async fn login_makes_a_waiting_service_ready() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let more = format!("{CODE_GRANT}, client_secret: s3cret, scopes: [read, offline_access]");
    let sidekey = serving(&upstream, &endpoint, &more).start().await;
    no_credential(&sidekey.get("/api/x").await);
    let told = async || {
        let page = Request::get(sidekey.admin_url("/readyz")).send().await;
        page.status == 503 && page.text().contains("run `sidekey login api`")
    };
    assert_eventually(TIMEOUT, "the page asks for a login", told).await;
    assert!(sidekey.log().contains("run `sidekey login api`"));
    assert_eq!((upstream.request_count(), endpoint.request_count()), (0, 0));
    let counted = sidekey.metric("sidekey_token_requests_total", &[]).await.unwrap_or_default();
    assert!(counted.abs() < 0.5, "no request was made, and none counted: {counted}");

    endpoint.next(issued(3600, "from-the-login"));
    let mut login = Login::start(&sidekey, &["api"]);
    let address = login.address().await;
    assert!(address.as_str().starts_with("https://login.example.com/authorize?tenant=1&response_type=code&"));
    assert_eq!(login.parameter("client_id").await, "my app");
    assert_eq!(login.parameter("scope").await, "read offline_access");
    assert_eq!(login.parameter("code_challenge_method").await, "S256");
    let redirect_uri = login.parameter("redirect_uri").await;
    assert!(redirect_uri.starts_with("http://127.0.0.1:") && redirect_uri.ends_with("/callback"));
    let page = login.call_back(&[("code", "the+code&")]).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains("You can close this page"));
    assert_eq!(
        (page.header("cache-control"), page.header("referrer-policy")),
        (Some("no-store"), Some("no-referrer"))
    );
    assert_eq!(login.ended().await, 0, "{}", login.output());
    assert!(login.output().contains("Granted scope: read."), "{}", login.output());

    sidekey.ready().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 2);
    let exchange = &requests[0];
    assert_eq!(exchange.basic().as_deref(), Some("my+app:s3cret"));
    assert_eq!(exchange.form.len(), 4, "{:?}", exchange.form);
    assert_eq!(exchange.param("grant_type"), Some("authorization_code"));
    assert_eq!(exchange.param("code"), Some("the+code&"));
    assert_eq!(exchange.param("redirect_uri"), Some(redirect_uri.as_str()));
    let verifier = exchange.param("code_verifier").unwrap();
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
    assert_eq!(login.parameter("code_challenge").await, challenge);
    assert_eq!(requests[1].param("grant_type"), Some("refresh_token"));
    assert_eq!(requests[1].param("refresh_token"), Some("from-the-login"));
    for secret in ["from-the-login", "the+code", verifier, "tok-1", "tok-2"] {
        assert!(!format!("{}{}", login.output(), sidekey.log()).contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn login_rejects_callback_with_other_state() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(issued(3600, "refresh"));
    let sidekey = serving(&upstream, &endpoint, CODE_GRANT).start().await;
    let mut login = Login::start(&sidekey, &["api"]);
    let back = login.parameter("redirect_uri").await;
    for query in ["", "?code=a", "?code=a&state=b", "?error=access_denied", "?error=access_denied&state="] {
        let page = Request::get(format!("{back}{query}")).send().await;
        assert_eq!(page.status, 400, "{query}");
        assert!(page.text().contains("another login"), "{}", page.text());
    }
    let elsewhere = back.replace("/callback", "/favicon.ico");
    assert_eq!(Request::get(elsewhere).send().await.status, 404);
    assert_eq!(endpoint.request_count(), 0, "a code with another state is not sent");
    assert_eq!(login.call_back(&[("code", "mine")]).await.status, 200);
    assert_eq!(login.ended().await, 0);
    assert_eq!(endpoint.requests()[0].param("code"), Some("mine"));
}

#[tokio::test]
async fn login_denied_by_the_person_fails() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let sidekey = serving(&upstream, &endpoint, CODE_GRANT).start().await;
    let mut login = Login::start(&sidekey, &["api"]);
    let denied = [("error", "access_denied"), ("error_description", "\u{1b}[31mno\n")];
    let page = login.call_back(&denied).await;
    assert_eq!(page.status, 400);
    assert!(!page.text().contains("access_denied"), "the page repeats nothing of the query: {}", page.text());
    assert_eq!(login.ended().await, 1);
    login.prints("not logged in: the provider answered with error access_denied: ?[31mno?").await;
    assert_eq!(endpoint.request_count(), 0);
    no_credential(&sidekey.get("/api/x").await);
}

#[tokio::test]
async fn login_without_callback_times_out() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let sidekey = serving(&upstream, &endpoint, CODE_GRANT).start().await;
    let mut login = Login::start(&sidekey, &["api", "--wait", "1"]);
    assert_eq!(login.ended().await, 1);
    login.prints("not logged in: the login was not completed within 1 seconds").await;
    assert_eq!(endpoint.request_count(), 0);
}

#[tokio::test]
async fn login_fails_if_code_is_rejected_or_no_refresh_token() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let echo = json!({ "error": "invalid_grant", "error_description": "no such code: the-code" });
    endpoint.next(MockTokenResponse::json(&echo));
    endpoint.next(MockTokenResponse::issue(3600));
    let sidekey = serving(&upstream, &endpoint, CODE_GRANT).start().await;
    for reason in ["with error invalid_grant", "the provider issued no refresh token"] {
        let mut login = Login::start(&sidekey, &["api"]);
        let page = login.call_back(&[("code", "the-code")]).await;
        assert_eq!(page.status, 400);
        assert!(page.text().contains("See the terminal for the reason"));
        assert_eq!(login.ended().await, 1);
        login.prints(reason).await;
        assert!(!login.output().contains("the-code"), "{}", login.output());
    }
    no_credential(&sidekey.get("/api/x").await);
}

#[tokio::test]
async fn login_listens_on_configured_redirect_uri() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(issued(3600, "refresh"));
    let uri = format!("http://127.0.0.1:{}/oauth/back", free_port());
    let more = format!("{CODE_GRANT}, redirect_uri: '{uri}', authorization_params: {{ prompt: consent }}");
    let sidekey = serving(&upstream, &endpoint, &more).start().await;
    let mut login = Login::start(&sidekey, &["api"]);
    assert_eq!(login.parameter("redirect_uri").await, uri);
    assert_eq!(login.parameter("prompt").await, "consent");
    assert_eq!(login.call_back(&[("code", "a")]).await.status, 200);
    assert_eq!(login.ended().await, 0);
    assert_eq!(endpoint.requests()[0].param("redirect_uri"), Some(uri.as_str()));
}

#[tokio::test]
async fn login_is_required_again_if_refresh_token_is_rejected() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(issued(3600, "first"));
    endpoint.next(issued(1, "second"));
    endpoint.next(issued(1, "third"));
    endpoint.always(MockTokenResponse::error(400, "invalid_grant"));
    let sidekey = serving(&upstream, &endpoint, CODE_GRANT).start().await;
    log_in(&sidekey).await;
    endpoint.received(4).await;
    let told = async || sidekey.log().contains("the login has ended: run `sidekey login api`");
    assert_eventually(TIMEOUT, "the log asks for a login", told).await;
    let tokens: Vec<_> = endpoint.requests()[1..4]
        .iter()
        .map(|request| request.param("refresh_token").unwrap().to_owned())
        .collect();
    assert_eq!(tokens, ["first", "second", "third"]);
    assert_eventually(TIMEOUT, "the last token expires", async || !sidekey.is_ready().await).await;
    no_credential(&sidekey.get("/api/x").await);

    endpoint.always(issued(3600, "from the second login"));
    log_in(&sidekey).await;
    sidekey.ready().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
}
