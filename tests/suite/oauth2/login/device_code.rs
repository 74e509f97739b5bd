//! Device code (RFC 8628).

use std::time::Duration;

use serde_json::{Value, json};

use super::setup::{issued, serving};
use crate::harness::{Login, MockTokenEndpoint, MockTokenResponse, MockUpstream};
use crate::suite::oauth2::setup::no_credential;

fn grant(endpoint: &MockTokenEndpoint) -> String {
    format!(
        "grant_type: device_code, device_authorization_url: '{}/device', scopes: [read]",
        endpoint.server().url()
    )
}

fn device(change: &Value) -> MockTokenResponse {
    let mut answer = json!({
        "device_code": "the-device-code", "user_code": "WDJB-MJHT", "expires_in": 60, "interval": 1,
        "verification_uri": "https://example.com/device",
        "verification_uri_complete": "https://example.com/device?user_code=WDJB-MJHT",
    });
    answer.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    MockTokenResponse::json(&answer)
}

#[tokio::test]
async fn device_code_login_polls_and_slows_down() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(device(&json!({})));
    endpoint.next(MockTokenResponse::error(400, "authorization_pending"));
    endpoint.next(MockTokenResponse::error(400, "slow_down"));
    endpoint.next(issued(3600, "from-the-device"));
    let sidekey = serving(&upstream, &endpoint, &grant(&endpoint)).start().await;
    no_credential(&sidekey.get("/api/x").await);
    assert_eq!(endpoint.request_count(), 0);
    let mut login = Login::start(&sidekey, &["api"]);
    login.prints("open https://example.com/device\nand enter the code WDJB-MJHT").await;
    login.prints("or open https://example.com/device?user_code=WDJB-MJHT").await;
    assert_eq!(login.ended().await, 0, "{}", login.output());
    sidekey.ready().await;

    let requests = endpoint.requests();
    assert_eq!(requests[0].http.target, "/device");
    let form: Vec<_> = requests[0].form.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(form, [("scope", "read"), ("client_id", "my app")]);
    for request in &requests[1..4] {
        assert_eq!(request.http.target, "/oauth2/token");
        let form: Vec<_> = request.form.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let grant_type = "urn:ietf:params:oauth:grant-type:device_code";
        let expected =
            [("grant_type", grant_type), ("device_code", "the-device-code"), ("client_id", "my app")];
        assert_eq!(form, expected);
    }
    let pause = |index: usize| requests[index].at - requests[index - 1].at;
    assert!(pause(1) >= Duration::from_secs(1) && pause(2) >= Duration::from_secs(1));
    assert!(pause(3) >= Duration::from_secs(6), "slow_down adds five seconds: {:?}", pause(3));
    assert_eq!(requests[4].param("refresh_token"), Some("from-the-device"));
    for secret in ["the-device-code", "from-the-device", "tok-1"] {
        assert!(!format!("{}{}", login.output(), sidekey.log()).contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn device_code_login_fails_on_errors_and_invalid_responses() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let sidekey = serving(&upstream, &endpoint, &grant(&endpoint)).start().await;
    let short_lived = device(&json!({ "expires_in": 1 }));
    for (answers, reason) in [
        (
            vec![device(&json!({})), MockTokenResponse::error(400, "access_denied")],
            "with error access_denied",
        ),
        (
            vec![device(&json!({})), MockTokenResponse::error(400, "expired_token")],
            "with error expired_token",
        ),
        (vec![short_lived], "the code has expired before it was entered"),
        (vec![MockTokenResponse::html(404)], "the device authorization endpoint answered 404"),
        (vec![MockTokenResponse::empty()], "the device authorization endpoint sent an empty answer"),
        (
            vec![MockTokenResponse::error(401, "invalid_client")],
            "the device authorization endpoint answered 401",
        ),
        (vec![device(&json!({ "verification_uri": "javascript:x" }))], "no usable verification_uri"),
        (vec![device(&json!({ "device_code": "" }))], "no usable device_code"),
    ] {
        for answer in answers {
            endpoint.next(answer);
        }
        let mut login = Login::start(&sidekey, &["api"]);
        assert_eq!(login.ended().await, 1, "{}", login.output());
        login.prints(reason).await;
        assert!(!login.output().contains("the-device-code"));
    }
    no_credential(&sidekey.get("/api/x").await);
}
