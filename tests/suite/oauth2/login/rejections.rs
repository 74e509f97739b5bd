//! Services that `sidekey login` rejects.

use crate::harness::{Login, MockTokenEndpoint, Sidekey};

#[tokio::test]
async fn login_rejects_services_that_need_none() {
    let endpoint = MockTokenEndpoint::plain().await;
    let grant = super::setup::CODE_GRANT;
    let oauth2 = format!("type: oauth2, token_url: '{}', client_id: me", endpoint.url());
    let sidekey = Sidekey::serving(&format!(
        "mail: {{ upstream: 'http://127.0.0.1:9', auth: {{ type: bearer, token: t }} }}
robot: {{ upstream: 'http://127.0.0.1:9', auth: {{ {oauth2}, grant_type: client_credentials, client_secret: s }} }}
person: {{ upstream: 'http://127.0.0.1:9', auth: {{ {oauth2}, {grant} }} }}"
    ))
    .start()
    .await;
    for (service, reason) in [
        ("mial", "no service has the name `mial`. Those that need a login: person"),
        ("mail", "`mail` has a credential of `type: bearer`, which needs no login"),
        ("robot", "`robot` has `grant_type: client_credentials`, which needs no login"),
        ("person", "the configuration has no `state`"),
    ] {
        let mut login = Login::start(&sidekey, &[service]);
        assert_eq!(login.ended().await, 64);
        login.prints(reason).await;
    }
}

#[tokio::test]
async fn login_with_remote_redirect_uri_needs_no_browser_option() {
    let (upstream, endpoint) =
        (crate::harness::MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let more = format!("{}, redirect_uri: 'https://app.example.com/back'", super::setup::CODE_GRANT);
    let sidekey = super::setup::serving(&upstream, &endpoint, &more).start().await;
    let mut login = Login::start(&sidekey, &["api"]);
    assert_eq!(login.ended().await, 1);
    login.prints("use `sidekey login --no-browser`").await;
}
