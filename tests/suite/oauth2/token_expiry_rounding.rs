//! Identity providers stamp tokens with whole seconds, so a token may expire up to a second before
//! `expires_in` has passed. Found with oidc-provider: some of its five-second tokens were sent after they had
//! expired.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::setup::service;
use crate::harness::{MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey, fraction_of_second};

/// The worst case: requested late in a second, the token is nearly a second old when it is issued.
async fn late_in_a_second() {
    let late = Duration::from_millis(800);
    sleep(late.checked_sub(fraction_of_second()).unwrap_or_default()).await;
}

async fn started_late_in_a_second(upstream: &MockUpstream, login: &MockTokenEndpoint) -> Sidekey {
    login.always(MockTokenResponse::issue_from_whole_second(5));
    upstream.respond_with(login.guard());
    let services = format!(
        "
api:
  upstream: {}
  token_wait: 10ms
  auth: {{ type: oauth2, grant_type: client_credentials, token_url: '{}', client_id: c, client_secret: s }}
",
        upstream.url(),
        login.url(),
    );
    late_in_a_second().await;
    Sidekey::serving(&services).start_ready().await
}

#[tokio::test]
async fn token_is_refreshed_before_its_earliest_expiry() {
    let (upstream, login) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let sidekey = started_late_in_a_second(&upstream, &login).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while login.request_count() < 3 {
        let response = sidekey.get("/api/x").await;
        assert_eq!(response.status, 200, "{}", response.text());
        assert!(Instant::now() < deadline, "a token of five seconds is refreshed in time");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn token_is_not_sent_after_its_earliest_expiry() {
    let (upstream, login) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let sidekey = started_late_in_a_second(&upstream, &login).await;
    login.go_down();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let response = sidekey.get("/api/x").await;
        match (response.status, response.sidekey_error()) {
            (200, None) => assert!(Instant::now() < deadline, "the token expires"),
            (503, Some("credential_unavailable")) => break,
            other => panic!("{other:?}: {}", response.text()),
        }
        sleep(Duration::from_millis(5)).await;
    }
    assert!(upstream.request_count() > 0, "the token was used until then");
}

#[tokio::test]
async fn token_lifetime_in_log_is_a_second_less_and_rounded_down() {
    let (upstream, login) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    login.always(MockTokenResponse::issue(8));
    let sidekey = Sidekey::serving(&service("api", &upstream, &login, "", "")).start_ready().await;
    let lifetime = sidekey.logged("token obtained").await["token.lifetime_s"].as_u64().unwrap();
    // 6, unless the token request took longer than a second.
    assert!((1..=6).contains(&lifetime), "{lifetime}");
}
