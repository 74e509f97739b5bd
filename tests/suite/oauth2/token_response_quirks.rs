//! Unusual token responses: invalid ones do not stop the refresher, and unusual valid ones are accepted.

use std::time::Duration;

use serde_json::json;

use super::setup::service;
use crate::harness::{
    MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey, TIMEOUT, assert_eventually,
};

/// Invalid responses, each with the reason that it is counted as.
fn invalid_responses(elsewhere: &str) -> Vec<(&'static str, MockTokenResponse)> {
    let json = |status: u16, body: &str| {
        MockResponse::status(status).header("Content-Type", "application/json").body(body)
    };
    let token = r#"{"access_token":"odd","expires_in":3600}"#;
    vec![
        ("malformed", MockTokenResponse::empty()),
        ("malformed", MockTokenResponse::html(200)),
        ("malformed", MockResponse::status(204).into()),
        ("malformed", json(200, "null").into()),
        ("malformed", json(200, "[]").into()),
        ("malformed", json(200, "{}").into()),
        ("malformed", json(200, r#"{"access_token":null}"#).into()),
        ("malformed", json(200, r#"{"access_token":"a\nb"}"#).into()),
        ("malformed", json(200, r#"{"access_token":"x","token_type":"mac"}"#).into()),
        ("malformed", json(200, &token[..20]).into()),
        ("malformed", json(200, &"[".repeat(100_000)).into()),
        ("malformed", MockResponse::ok(vec![b' '; 3 << 20]).into()),
        ("malformed", MockResponse::ok(vec![b' '; 3 << 20]).chunked(4096).into()),
        (
            "malformed",
            MockResponse::ok("{").header("Content-Type", "application/x-www-form-urlencoded").into(),
        ),
        ("malformed", MockTokenResponse::html(404)),
        ("malformed", MockResponse::status(302).header("Location", elsewhere).into()),
        ("malformed", MockResponse::status(307).header("Location", elsewhere).into()),
        ("malformed", MockResponse::status(308).header("Location", elsewhere).into()),
        ("server_error", MockTokenResponse::html(500)),
        ("server_error", MockTokenResponse::html(503)),
        ("server_error", MockTokenResponse::error(400, "temporarily_unavailable")),
        ("rate_limited", MockTokenResponse::retry_after("1")),
        ("rate_limited", MockTokenResponse::retry_after("nonsense")),
        ("rate_limited", MockResponse::status(503).header("Retry-After", "1").into()),
        ("refused", MockTokenResponse::error(400, "invalid_grant")),
        ("refused", MockTokenResponse::error(401, "invalid_client")),
        ("malformed", MockTokenResponse::html(403)),
        ("refused", MockTokenResponse::json(&json!({ "ok": false, "error": "invalid_auth" }))),
        ("connect", MockResponse::close_unanswered().into()),
        ("connect", MockResponse::reset().into()),
        ("connect", MockResponse::raw("\0\u{1}garbage\r\n\r\n").into()),
        ("connect", json(200, token).cut_at(10).into()),
        ("connect", json(200, token).chunked(5).cut_at(10).then_reset().into()),
        ("malformed", json(200, token).header("Content-Encoding", "gzip").into()),
        ("malformed", json(200, token).header("Content-Encoding", "br").into()),
        ("malformed", json(200, r#"{"access_token":"x","expires_at":"in one hour"}"#).into()),
        ("malformed", json(200, r#"{"access_token":"x","expires_in":"soon"}"#).into()),
        ("malformed", json(200, r#"{"access_token":"x","expires_at":"2001-01-01T00:00:00Z"}"#).into()),
        ("timeout", MockResponse::never().into()),
        ("timeout", json(200, token).cut_at(10).then_hang().into()),
        ("timeout", json(200, token).dribbled(1, Duration::from_millis(200)).into()),
    ]
}

#[tokio::test]
async fn refresher_continues_after_any_invalid_response() {
    let (upstream, elsewhere) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let (mut config, mut endpoints) = (String::new(), Vec::new());
    for (index, (reason, odd)) in invalid_responses(&elsewhere.url()).into_iter().enumerate() {
        let endpoint = MockTokenEndpoint::plain().await;
        endpoint.next(MockTokenResponse::issue(1));
        endpoint.next(odd);
        config += &service(&format!("s{index}"), &upstream, &endpoint, "token_request: { timeout: 3s },", "");
        endpoints.push((reason, endpoint));
    }
    let sidekey = Sidekey::serving(&config).start().await;
    for (index, (reason, endpoint)) in endpoints.iter().enumerate() {
        let name = format!("s{index}");
        let goes_on = async || {
            let good = [("service", name.as_str()), ("result", "success")];
            sidekey.metric("sidekey_token_requests_total", &good).await >= Some(2.0)
        };
        assert_eventually(TIMEOUT, &format!("{name} goes on after {reason}"), goes_on).await;
        let odd = [("service", name.as_str()), ("reason", reason)];
        let counted = sidekey.metric("sidekey_token_requests_total", &odd).await;
        assert_eq!(counted, Some(1.0), "{name} counts {reason}");
        assert_eq!(sidekey.get(&format!("/{name}/")).await.status, 200);
        let token = format!("Bearer {}", endpoint.issued().pop().unwrap());
        assert_eq!(upstream.last_request().header("authorization"), Some(token.as_str()));
    }
    assert_eq!(elsewhere.connections(), 0, "no redirect is followed");
}

#[tokio::test]
async fn unusual_valid_token_responses_are_accepted() {
    let upstream = MockUpstream::plain().await;
    let form = "access_token=form&expires_in=3600&token_type=bearer";
    let bearer = |extra: serde_json::Value| {
        let mut body = json!({ "access_token": "dressed", "token_type": "BEARER" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let answers: Vec<(MockTokenResponse, &str)> = vec![
        (MockResponse::ok(form).header("Content-Type", "application/x-www-form-urlencoded").into(), "form"),
        (MockResponse::ok("access_token=unsaid&expires_in=3600").into(), "unsaid"),
        (
            MockResponse::ok(bearer(json!({})).to_string())
                .header("Content-Type", "application/x-www-form-urlencoded")
                .into(),
            "dressed",
        ),
        (MockTokenResponse::json(&bearer(json!({ "expires_in": 3_600_000 }))), "dressed"),
        (MockTokenResponse::json(&bearer(json!({ "error": null }))), "dressed"),
        (MockTokenResponse::json(&bearer(json!({ "expires_in": "3600" }))), "dressed"),
        (MockTokenResponse::json(&bearer(json!({ "expires_in": 3599.9 }))), "dressed"),
        (MockTokenResponse::json(&bearer(json!({ "expires_in": 1e300 }))), "dressed"),
        (MockTokenResponse::json(&bearer(json!({ "expires_in": -1 }))), "dressed"),
        (MockTokenResponse::json(&bearer(json!({ "refresh_token": "ignored" }))), "dressed"),
        (
            MockResponse::ok(bearer(json!({})).to_string())
                .chunked(3)
                .header("Content-Type", "text/html")
                .into(),
            "dressed",
        ),
        (MockResponse::status(201).body(bearer(json!({})).to_string()).into(), "dressed"),
        (MockResponse::ok(bearer(json!({})).to_string()).until_closed().into(), "dressed"),
    ];
    let (mut config, mut endpoints) = (String::new(), Vec::new());
    for (index, (answer, token)) in answers.into_iter().enumerate() {
        let endpoint = MockTokenEndpoint::plain().await;
        endpoint.always(answer);
        config += &service(&format!("s{index}"), &upstream, &endpoint, "", "");
        endpoints.push((endpoint, token));
    }
    let sidekey = Sidekey::serving(&config).start_ready().await;
    for (index, (endpoint, token)) in endpoints.iter().enumerate() {
        assert_eq!(sidekey.get(&format!("/s{index}/")).await.status, 200);
        assert_eq!(upstream.last_request().header("authorization"), Some(format!("Bearer {token}").as_str()));
        assert_eq!(endpoint.request_count(), 1);
    }
}
