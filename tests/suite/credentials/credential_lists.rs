//! A list in `auth`: several credentials in one request.

use crate::harness::{MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, Request, Sidekey};
use crate::suite::oauth2::setup::no_credential;

/// A service with a token in `Authorization`, another one in `X-Gateway-Token`, and a key in the query.
fn services(upstream: &MockUpstream, one: &MockTokenEndpoint, other: &MockTokenEndpoint) -> String {
    let token = |endpoint: &MockTokenEndpoint, more: &str| {
        format!(
            "{{ type: oauth2, grant_type: client_credentials, token_url: '{}', client_id: me, client_secret: s3cret{more}, \
             token_request: {{ min_interval: 1ms }} }}",
            endpoint.url()
        )
    };
    format!(
        "api: {{ upstream: '{}', auth: [{}, {}, {{ type: api_key, in: query, name: key, value: k-canary }}] }}\n",
        upstream.url(),
        token(one, ""),
        token(other, ", token: { name: X-Gateway-Token, prefix: 'Bearer ' }"),
    )
}

#[tokio::test]
async fn request_has_every_credential_of_the_list() {
    let upstream = MockUpstream::plain().await;
    let (one, other) = (MockTokenEndpoint::plain().await, MockTokenEndpoint::plain().await);
    let sidekey = Sidekey::serving(&services(&upstream, &one, &other)).start_ready().await;
    let call = Request::get(sidekey.url("/api/x?a=1&key=evil"))
        .header("Authorization", "evil")
        .header("X-Gateway_Token", "evil");
    assert_eq!(call.send().await.status, 200);
    let request = upstream.last_request();
    let bearer = |endpoint: &MockTokenEndpoint| format!("Bearer {}", endpoint.issued().pop().unwrap());
    assert_eq!(request.target, "/x?a=1&key=k-canary");
    assert_eq!(request.headers.all("authorization"), [bearer(&one).as_str()]);
    assert_eq!(request.headers.all("x-gateway-token"), [bearer(&other).as_str()]);
    assert!(!format!("{:?}", request.headers).contains("evil"));
    let view = Request::get(sidekey.admin_url("/api/v1/services/api")).send().await.json();
    assert_eq!(view["kind"], "oauth2 + oauth2 + api_key");
    assert!(!sidekey.log().contains("k-canary"));
}

#[tokio::test]
async fn nothing_is_sent_while_one_credential_is_missing() {
    for is_first in [true, false] {
        let upstream = MockUpstream::plain().await;
        let (one, other) = (MockTokenEndpoint::plain().await, MockTokenEndpoint::plain().await);
        let failing = if is_first { &one } else { &other };
        failing.always(MockTokenResponse::html(503));
        let sidekey = Sidekey::serving(&services(&upstream, &one, &other)).start().await;
        one.received(1).await;
        other.received(1).await;
        no_credential(&sidekey.get("/api/x").await);
        assert!(!sidekey.is_ready().await);
        assert!(upstream.requests().is_empty());
        let view = Request::get(sidekey.admin_url("/api/v1/services/api")).send().await.json();
        assert_eq!(view["ready"], false);
        let usable: Vec<_> =
            view["tokens"].as_array().unwrap().iter().map(|part| part["usable"] == true).collect();
        assert_eq!(usable, [!is_first, is_first], "{view}");
        let failing = &view["tokens"][usize::from(!is_first)];
        assert!(failing["kind"] == "oauth2" && failing["error"].as_str().unwrap().contains("503"), "{view}");
        assert!(view["last_error"]["message"].as_str().unwrap().contains("503"), "{view}");
    }
}

#[tokio::test]
async fn rejected_request_is_sent_again_with_new_tokens() {
    let upstream = MockUpstream::plain().await;
    let (one, other) = (MockTokenEndpoint::plain().await, MockTokenEndpoint::plain().await);
    let sidekey = Sidekey::serving(&services(&upstream, &one, &other)).start_ready().await;
    upstream.next(MockResponse::status(401));
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    assert_eq!((one.issued().len(), other.issued().len()), (2, 2));
    let requests = upstream.requests();
    let sent = |index: usize, name| requests[index].header(name).unwrap().to_owned();
    for name in ["authorization", "x-gateway-token"] {
        assert_ne!(sent(0, name), sent(1, name), "{name}");
    }
    assert_eq!(sent(1, "x-gateway-token"), format!("Bearer {}", other.issued()[1]));
}

#[tokio::test]
async fn token_is_kept_when_its_credential_becomes_part_of_a_list() {
    let upstream = MockUpstream::plain().await;
    let (one, other) = (MockTokenEndpoint::plain().await, MockTokenEndpoint::plain().await);
    let list = services(&upstream, &one, &other);
    let first = list.find("{ type: oauth2").unwrap();
    let end = list[first..].find("} }").unwrap() + first + 3;
    let single = format!("api: {{ upstream: '{}', auth: {} }}\n", upstream.url(), &list[first..end]);
    let sidekey = Sidekey::serving(&single).start_ready().await;
    sidekey.reconfigure(&Sidekey::configuration_serving(&list));
    assert!(sidekey.reload().await);
    sidekey.ready().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    assert_eq!((one.issued().len(), other.issued().len()), (1, 1), "the first token stayed in use");
}

#[tokio::test]
async fn refresh_through_the_admin_api_renews_every_token_of_a_list() {
    let upstream = MockUpstream::plain().await;
    let (one, other) = (MockTokenEndpoint::plain().await, MockTokenEndpoint::plain().await);
    let config = Sidekey::configuration_serving(&services(&upstream, &one, &other));
    let config =
        config.replace("admin: 127.0.0.1:0", "admin: { token: admin-canary-of-a-list, listen: 127.0.0.1:0 }");
    let sidekey = Sidekey::configured(&config).start_ready().await;
    let refresh = || {
        Request::post(sidekey.admin_url("/api/v1/services/api/refresh"), "{}".to_owned())
            .header("Content-Type", "application/json")
            .header("Authorization", "Bearer admin-canary-of-a-list")
            .send()
    };
    assert_eq!(refresh().await.json()["ok"], true);
    assert_eq!((one.issued().len(), other.issued().len()), (2, 2));
    other.always(MockTokenResponse::html(500));
    let outcome = refresh().await.json();
    assert_eq!(outcome["ok"], false, "{outcome}");
    assert!(outcome["message"].as_str().unwrap().contains("500"), "{outcome}");
    assert_eq!(sidekey.get("/api/x").await.status, 200, "the present token is used");
}
