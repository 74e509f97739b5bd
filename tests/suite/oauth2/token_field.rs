//! `token.field`: another member of the response than `access_token` is the token.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::setup::{no_credential, service};
use crate::harness::{
    MockTokenEndpoint, MockTokenResponse, MockUpstream, Request, Sidekey, TIMEOUT, assert_eventually,
};

/// A service `api` whose token is this member of the answer.
async fn answering(field: &str, answer: &Value) -> (MockUpstream, MockTokenEndpoint, Sidekey) {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(MockTokenResponse::json(answer));
    let auth = format!("token: {{ {field} }}, ");
    let services = service("api", &upstream, &endpoint, &auth, "token_wait: 500ms,");
    let sidekey = Sidekey::serving(&services).start().await;
    (upstream, endpoint, sidekey)
}

/// A JWT that ends at this time.
fn jwt(exp: u64) -> String {
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(json!({ "exp": exp, "x": "CANARY" }).to_string()))
}

fn now() -> std::time::Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap()
}

#[tokio::test]
async fn id_token_is_sent_and_the_access_token_is_not() {
    let token = jwt(now().as_secs() + 100);
    let answer = json!({ "access_token": "CANARY-access", "id_token": token, "token_type": "mac", "expires_in": 3600 });
    let (upstream, _endpoint, sidekey) = answering("field: id_token", &answer).await;
    sidekey.ready().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    assert_eq!(upstream.only_request().header("authorization"), Some(format!("Bearer {token}").as_str()));
    // Its own end is earlier than `expires_in`.
    let left = sidekey.metric("sidekey_token_expiry_timestamp_seconds", &[]).await.unwrap();
    assert!((left - (now().as_secs_f64() + 100.0)).abs() < 5.0, "{left}");
    assert!(!sidekey.log().contains("CANARY") && !sidekey.log().contains(&token));
}

#[tokio::test]
async fn token_of_a_pointer_has_the_lifetime_beside_it_and_its_place() {
    let answer = json!({
        "status": "ok", "expires_in": 5, "access_token": "other",
        "session": { "keys": [{ "value": "nested-token", "kind": "a" }], "expires_in": 900 },
    });
    let field = "field: /session/keys/0/value, in: query, name: key, prefix: k-";
    let (upstream, _endpoint, sidekey) = answering(field, &answer).await;
    sidekey.ready().await;
    assert_eq!(sidekey.get("/api/x?a=1").await.status, 200);
    let request = upstream.only_request();
    assert_eq!(
        (request.target.as_str(), request.header("authorization")),
        ("/x?a=1&key=k-nested-token", None)
    );
    let end = sidekey.metric("sidekey_token_expiry_timestamp_seconds", &[]).await.unwrap();
    assert!(end > now().as_secs_f64() + 60.0, "the lifetime is not that at the top");
}

#[tokio::test]
async fn missing_field_is_no_token_whatever_else_is_there() {
    for (field, answer) in [
        ("id_token", json!({ "access_token": "CANARY-a", "expires_in": 60 })),
        ("/data/token", json!({ "access_token": "CANARY-a", "data": { "access_token": "CANARY-b" } })),
        ("/data/token", json!({ "token": "CANARY-a", "data": [{ "token": "CANARY-b" }] })),
        ("idToken", json!({ "id_token": "CANARY-a", "access_token": "CANARY-b" })),
        ("id_token", json!({ "id_token": "", "access_token": "CANARY-b" })),
        ("id_token", json!({ "id_token": { "access_token": "CANARY-b" }, "access_token": "CANARY-a" })),
        ("id_token", json!({ "id_token": "two CANARY-words", "access_token": "CANARY-a" })),
    ] {
        let (upstream, _endpoint, sidekey) = answering(&format!("field: {field}"), &answer).await;
        let said = async || {
            let page = Request::get(sidekey.admin_url("/readyz")).send().await.text();
            page.contains(&format!("no {field}")) || page.contains(&format!("({field})"))
        };
        assert_eventually(TIMEOUT, &format!("the member {field} is named: {answer}"), said).await;
        no_credential(&sidekey.get("/api/x").await);
        assert_eq!(upstream.request_count(), 0, "{answer}");
        assert!(!sidekey.log().contains("CANARY"), "{}", sidekey.log());
    }
}

#[tokio::test]
async fn end_of_a_field_that_is_not_understood_is_no_end() {
    let answer = json!({ "expires_in": 3600, "data": { "token": "opaque", "expires_at": "when it rains" } });
    let (_upstream, _endpoint, sidekey) = answering("field: /data/token", &answer).await;
    let said = async || {
        let page = Request::get(sidekey.admin_url("/readyz")).send().await.text();
        page.contains("`expires_at`") && page.contains("`default_expires_in`")
    };
    assert_eventually(TIMEOUT, "the member is named", said).await;
}
