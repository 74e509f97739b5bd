//! The end of a token, in every form in which responses state it: it is never sent after that.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::setup::{no_credential, service};
use crate::harness::{
    MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey, TIMEOUT, assert_eventually,
};

/// How long the tokens of these tests live: long enough for the start of the program.
const LIFETIME: Duration = Duration::from_secs(6);

fn jwt(claims: &Value) -> String {
    format!("e30.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// Responses whose token ends at this time.
fn responses(end: SystemTime) -> Vec<Value> {
    let seconds = end.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let half: Value = format!("{seconds}.5").parse().unwrap();
    let utc = DateTime::<Utc>::from(end);
    let rfc_3339 = utc.to_rfc3339_opts(SecondsFormat::Secs, true);
    let east = (utc + chrono::Duration::hours(2)).format("%Y-%m-%dT%H:%M:%S+02:00").to_string();
    vec![
        json!({ "expires_at": rfc_3339 }),
        json!({ "expires_at": east }),
        json!({ "expires_at": rfc_3339.trim_end_matches('Z') }),
        json!({ "expires_at": utc.format("%Y-%m-%d %H:%M:%S UTC").to_string() }),
        json!({ "expiresAt": rfc_3339 }),
        json!({ "expires_at": seconds }),
        json!({ "expires_at": seconds * 1000 }),
        json!({ "expires_on": seconds.to_string() }),
        json!({ "expires_in": seconds }),
        json!({ "expires_in": rfc_3339 }),
        json!({ "expires_in": format!("{}s", LIFETIME.as_secs()) }),
        json!({ "token": { "expires_at": rfc_3339 } }),
        json!({ "data": { "expires_in": LIFETIME.as_secs() } }),
        json!({ "expires_in": 3600, "issued_at": (seconds - 3600) * 1000 }),
        json!({ ".expires": httpdate::fmt_http_date(end) }),
        json!({ "expires": httpdate::fmt_http_date(end) }),
        json!({ "expires_in": 3600, "expires_at": rfc_3339 }),
        json!({ "expires_in": 3600, "access_token": jwt(&json!({ "exp": seconds })) }),
        json!({ "access_token": jwt(&json!({ "exp": seconds })) }),
        json!({ "access_token": jwt(&json!({ "exp": half })) }),
    ]
}

#[tokio::test]
async fn token_is_not_sent_after_a_stated_end() {
    let upstream = MockUpstream::plain().await;
    let end = SystemTime::now() + LIFETIME;
    let (mut config, mut endpoints) = (String::new(), Vec::new());
    for (index, stated) in responses(end).into_iter().enumerate() {
        let endpoint = MockTokenEndpoint::plain().await;
        let mut body = json!({ "access_token": "opaque" });
        body.as_object_mut().unwrap().extend(stated.as_object().unwrap().clone());
        endpoint.next(MockTokenResponse::json(&body));
        endpoint.always(MockTokenResponse::html(503));
        config += &service(&format!("s{index}"), &upstream, &endpoint, "", "token_wait: 0s,");
        endpoints.push((stated, endpoint));
    }
    let end = Instant::now() + end.duration_since(SystemTime::now()).unwrap();
    let sidekey = Sidekey::serving(&config).start_ready().await;
    for (index, (stated, _endpoint)) in endpoints.iter().enumerate() {
        assert_eq!(sidekey.get(&format!("/s{index}/")).await.status, 200, "{stated}");
    }
    for (index, (stated, _endpoint)) in endpoints.iter().enumerate() {
        let is_over = async || sidekey.get(&format!("/s{index}/")).await.status == 503;
        assert_eventually(TIMEOUT, &format!("{stated} ends"), is_over).await;
        no_credential(&sidekey.get(&format!("/s{index}/")).await);
    }
    // The end that has half a second is the last one.
    let latest = end + Duration::from_millis(500);
    assert!(upstream.requests().iter().all(|request| request.at <= latest), "a token was sent after its end");
}

#[tokio::test]
async fn end_that_is_not_understood_needs_a_configured_lifetime() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(MockTokenResponse::json(&json!({ "access_token": "abc", "expires_at": "in one hour" })));
    let config = service("none", &upstream, &endpoint, "", "")
        + &service("configured", &upstream, &endpoint, "default_expires_in: 10m,", "");
    let sidekey = Sidekey::serving(&config).start().await;
    no_credential(&sidekey.get("/none/").await);
    let said = sidekey.logged_like("token not obtained: the token endpoint states the end").await;
    let said = said["message"].as_str().unwrap();
    assert!(said.contains("`expires_at`") && said.contains("`default_expires_in`"), "{said}");
    assert_eq!(sidekey.get("/configured/").await.status, 200);
    assert_eq!(upstream.request_count(), 1);
}

#[tokio::test]
async fn token_that_has_expired_before_it_was_issued_is_not_sent() {
    let past = SystemTime::now() - Duration::from_secs(60);
    let seconds = past.duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (stated, name) in [
        (json!({ "expires_at": seconds }), "expires_at"),
        (json!({ "expires_in": 3600, "expires_on": seconds.to_string() }), "expires_on"),
        (
            json!({ "expires_in": 3600, "access_token": jwt(&json!({ "exp": seconds })) }),
            "exp of the token itself",
        ),
    ] {
        let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
        let mut body = json!({ "access_token": "opaque" });
        body.as_object_mut().unwrap().extend(stated.as_object().unwrap().clone());
        endpoint.always(MockTokenResponse::json(&body));
        let sidekey = Sidekey::serving(&service("api", &upstream, &endpoint, "", "")).start().await;
        no_credential(&sidekey.get("/api/").await);
        let said = sidekey
            .logged_like("token not obtained: the token endpoint issued a token that had expired")
            .await;
        assert!(said["message"].as_str().unwrap().contains(&format!("`{name}`")), "{said}");
        assert_eq!(upstream.request_count(), 0, "{stated}");
    }
}
