//! Callbacks that anybody can send, and those of another provider.

use serde_json::json;

use super::setup::{CODE_GRANT, issued, serving};
use crate::harness::{
    Connection, Login, MockResponse, MockTokenEndpoint, MockUpstream, Request, Sidekey, SidekeyBuilder,
};

const MISSING: &str = "the answer has no `iss`";
const WRONG: &str = "its `iss` is not `issuer`";

#[tokio::test]
async fn login_goes_on_after_malformed_callbacks() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(issued(3600, "refresh"));
    let sidekey = serving(&upstream, &endpoint, CODE_GRANT).start().await;
    let mut login = Login::start(&sidekey, &["api"]);
    let back = login.parameter("redirect_uri").await;
    let state = login.parameter("state").await;
    for query in [
        "state=x&state=y".to_owned(),
        "code=a&state=x&state=y".into(),
        "error=access_denied&state=x&state=y".into(),
        format!("code=a&state={state}&state={state}"),
        format!("code=a&state=x&st%61te={state}"),
        format!("code=a&code=b&state={state}"),
        format!("code=a&error=b&state={state}"),
        format!("code=&state={state}"),
        format!("error=&state={state}"),
        format!("state={state}"),
        "%FF=%FF&&&===".into(),
        "x".repeat(3000),
    ] {
        for _ in 0..2 {
            let page = Request::get(format!("{back}?{query}")).send().await;
            assert_eq!(page.status, 400, "{query}");
            assert!(!page.text().contains("Logged in"), "{}", page.text());
        }
    }
    let right = login.callback_url(&[("code", "a")]).await;
    for method in ["HEAD", "POST", "PUT"] {
        assert_eq!(Request::new(method, right.as_str()).send().await.status, 405, "{method}");
    }
    assert_eq!(endpoint.request_count(), 0);
    assert_eq!(login.output().matches("still waiting").count(), 3, "{}", login.output());
    assert_eq!(login.call_back(&[("code", "mine")]).await.status, 200);
    assert_eq!(login.ended().await, 0, "{}", login.output());
    assert_eq!(endpoint.requests()[0].param("code"), Some("mine"));
}

/// A service whose provider has this metadata; the login page is configured or not.
async fn with_metadata(
    upstream: &MockUpstream,
    endpoint: &MockTokenEndpoint,
    supports_iss: bool,
    grant: &str,
) -> (SidekeyBuilder, MockUpstream, String) {
    let server = MockUpstream::plain().await;
    let issuer = server.url();
    let document = json!({
        "issuer": issuer, "token_endpoint": endpoint.url(),
        "authorization_endpoint": "https://login.example.com/authorize",
        "authorization_response_iss_parameter_supported": supports_iss,
    });
    server.respond_with(move |_| MockResponse::json(&document));
    let config = format!(
        "listen: 127.0.0.1:0
admin: 127.0.0.1:0
state: {{ dir: $DIR/state, key: {{ file: $DIR/key }} }}
services:
  api: {{ upstream: '{}', auth: {{ type: oauth2, issuer: '{issuer}', client_id: me, {grant} }} }}
",
        upstream.url()
    );
    (Sidekey::configured(&config).file("key", super::setup::KEY), server, issuer)
}

#[tokio::test]
async fn login_requires_iss_if_metadata_announces_it() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(issued(3600, "refresh"));
    for grant in ["grant_type: authorization_code", CODE_GRANT] {
        for announced in [true, false] {
            let (sidekey, _server, issuer) = with_metadata(&upstream, &endpoint, announced, grant).await;
            let sidekey = sidekey.start().await;
            let (right, wrong) = (("iss", issuer.as_str()), ("iss", "https://evil.example"));
            let missing = announced.then_some(MISSING);
            for (parameters, reason) in [
                (vec![("code", "CODE")], missing),
                (vec![("code", "CODE"), wrong], Some(WRONG)),
                (vec![("code", "CODE"), ("iss", "")], Some(WRONG)),
                (vec![("error", "access_denied"), wrong], Some(WRONG)),
                (vec![("code", "CODE"), right], None),
            ] {
                let before = endpoint.requests().iter().filter(|it| it.param("code").is_some()).count();
                let mut login = Login::start(&sidekey, &["api"]);
                let page = login.call_back(&parameters).await;
                assert_eq!(page.status, if reason.is_some() { 400 } else { 200 }, "{parameters:?}");
                assert_eq!(login.ended().await, i32::from(reason.is_some()), "{}", login.output());
                login.prints(reason.unwrap_or("Logged in")).await;
                let exchanged = endpoint.requests().iter().filter(|it| it.param("code").is_some()).count();
                assert_eq!(exchanged - before, usize::from(reason.is_none()), "{parameters:?}");
            }
        }
    }
}

#[tokio::test]
async fn login_is_not_blocked_by_half_requests() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(issued(3600, "refresh"));
    let sidekey = serving(&upstream, &endpoint, CODE_GRANT).start().await;
    let mut login = Login::start(&sidekey, &["api"]);
    let back = url::Url::parse(&login.parameter("redirect_uri").await).unwrap();
    let address = back.socket_addrs(|| None).unwrap()[0];
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut connection = Connection::open(address).await;
        let _ = connection.try_send("GET /callback?state=x HTTP/1.1\r\nHost: x\r\nX-Half: ").await;
        held.push(connection);
    }
    let mut large = Connection::open(address).await;
    let _ = large.try_send(format!("GET /callback HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(350_000))).await;
    assert_eq!(large.response().await.status, 431);
    assert_eq!(login.call_back(&[("code", "mine")]).await.status, 200);
    assert_eq!(login.ended().await, 0, "{}", login.output());
}
