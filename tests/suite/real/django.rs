//! `type: login` against Django's own sessions.

use crate::harness::{Django, Request, Sidekey};

async fn asked(django: &Django, path: &str) -> String {
    Request::get(format!("{}{path}", django.url())).send().await.text()
}

#[tokio::test]
async fn django_session_is_opened_renewed_and_ended() {
    let django = Django::start().await;
    let url = django.url();
    let services = format!(
        "site: {{ upstream: '{url}', refresh_on: {{ redirect: /accounts/login }}, auth: {{ type: login, login_url: '{url}/login', \
         login_format: form, fields: {{ username: svc, password: {{ file: $DIR/password }} }}, session: 'cookie:sessionid', \
         logout_url: '{url}/logout' }} }}"
    );
    let mut sidekey = Sidekey::serving(&services).file("password", "Circle of Life").start_ready().await;
    let call =
        || Request::post(sidekey.url("/site/private"), "body").header("Cookie", "sessionid=own; theme=dark");
    assert_eq!(call().send().await.text(), "svc: body", "{}", django.log());
    assert_eq!(asked(&django, "/count").await, "1");
    let left = sidekey.metric("sidekey_token_lifetime_seconds", &[("service", "site")]).await;
    assert!(left.is_none_or(|left| left <= 600.0), "{left:?}");
    asked(&django, "/flush").await;
    assert_eq!(call().send().await.text(), "svc: body", "a redirect to the login page renews the session");
    assert_eq!(asked(&django, "/count").await, "1");
    sidekey.terminate().await;
    assert_eq!(asked(&django, "/count").await, "0", "{}", django.log());
}

#[tokio::test]
async fn django_form_with_an_error_is_a_refused_login() {
    let django = Django::start().await;
    let url = django.url();
    let services = format!(
        "site: {{ upstream: '{url}', token_wait: 1s, auth: {{ type: login, login_url: '{url}/login', login_format: form, \
         fields: {{ username: svc, password: wrong }}, session: 'cookie:sessionid' }} }}"
    );
    let sidekey = Sidekey::serving(&services).start().await;
    assert_eq!(sidekey.get("/site/private").await.sidekey_error(), Some("credential_unavailable"));
    sidekey.logged_like("token refused: the answer to the login (200) has no session").await;
}

#[tokio::test]
async fn django_login_with_the_token_of_its_page_is_accepted() {
    let django = Django::start().await;
    let url = django.url();
    let services = |csrf: &str| {
        format!(
            "site: {{ upstream: '{url}', token_wait: 3s, auth: {{ type: login, login_url: '{url}/accounts/login', login_format: form, \
             fields: {{ username: svc, password: {{ file: $DIR/password }} }}, session: 'cookie:sessionid'{csrf} }} }}"
        )
    };
    let start =
        async |csrf: &str| Sidekey::serving(&services(csrf)).file("password", "Circle of Life").start().await;
    let without = start("").await;
    assert_eq!(without.get("/site/private").await.sidekey_error(), Some("credential_unavailable"));
    without.logged_like("token refused: the login server answered 403").await;
    for csrf in [
        ", csrf: { from: 'input:csrfmiddlewaretoken', field: csrfmiddlewaretoken }",
        ", csrf: { from: 'cookie:csrftoken', header: X-CSRFToken }",
    ] {
        let sidekey = start(csrf).await;
        assert_eq!(sidekey.get("/site/private").await.text(), "svc: ", "{csrf} {}", django.log());
    }
}
