//! A fleet and a certified provider, with refresh token rotation and detection of reuse.

use std::time::Duration;

use super::setup::{Callers, config, shared, start};
use crate::harness::{
    ChaosProxy, Curl, Login, MockResponse, MockUpstream, OidcProvider, Pki, Redis, Request, Sidekey, Tunnels,
    assert_eventually,
};

const WAIT: Duration = Duration::from_secs(60);

/// The credential of a person who logs in, with these further keys.
fn auth(oidc: &OidcProvider, pki: &Pki, more: &str) -> String {
    format!(
        "type: oauth2, grant_type: authorization_code, issuer: '{}', authorization_params: {{ prompt: consent }}, client_id: native, \
         client_secret: {}, scopes: [openid, offline_access], tls: {{ ca_file: '{}' }}{more}",
        oidc.issuer(),
        OidcProvider::SECRET,
        pki.ca_file()
    )
}

/// A person logs in, with the configuration of a process.
async fn log_in(process: &Sidekey, oidc: &OidcProvider, pki: &Pki) {
    let mut login = Login::start(process, &["api"]);
    oidc.browse(pki, login.address().await.as_str(), "").await;
    assert_eq!(login.ended().await, 0, "{}\n{}", login.output(), oidc.log());
}

/// Number of token requests that were answered so.
fn answers(oidc: &OidcProvider, answer: &str) -> usize {
    oidc.log().matches(&format!("POST /token {answer}")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn real_provider_sees_each_refresh_token_once() {
    let (pki, redis, upstream) = (Pki::new(), Redis::start(&[]).await, MockUpstream::plain().await);
    let oidc = OidcProvider::issuing(&pki, 6).await;
    let processes = start(&config(&shared(&redis), &upstream, &auth(&oidc, &pki, "")), 5).await;
    log_in(&processes[0], &oidc, &pki).await;
    for process in &processes {
        process.ready().await;
    }
    let callers = Callers::of(&processes);
    let before = answers(&oidc, "200");
    assert_eventually(WAIT, "four more tokens are issued", async || answers(&oidc, "200") >= before + 4)
        .await;
    assert_eq!(callers.stop().await, Vec::<String>::new());
    assert!(!oidc.log().contains("invalid_grant"), "{}", oidc.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_after_a_new_login_ends_no_grant() {
    let (pki, redis, upstream) = (Pki::new(), Redis::start(&[]).await, MockUpstream::plain().await);
    let oidc = OidcProvider::issuing(&pki, 3600).await;
    // The token requests of one process can be held up.
    let port = oidc.issuer().rsplit_once(':').unwrap().1.parse().unwrap();
    let tunnels = Tunnels::to(([127, 0, 0, 1], port).into(), Tunnels::OPEN).await;
    let slow = ChaosProxy::in_front_of(tunnels.address).await;
    let through = format!(", proxy: {{ url: 'http://{}' }}", slow.address());
    let one = start(&config(&shared(&redis), &upstream, &auth(&oidc, &pki, &through)), 1).await.remove(0);
    let other = start(&config(&shared(&redis), &upstream, &auth(&oidc, &pki, "")), 1).await.remove(0);
    log_in(&other, &oidc, &pki).await;
    for process in [&one, &other] {
        process.ready().await;
        assert_eq!(process.get("/api/x").await.status, 200);
    }
    // The grant ends. Before the provider can say so to the first process, the person logs in again.
    let sent = upstream.last_request().header("authorization").unwrap().to_owned();
    let token = sent.strip_prefix("Bearer ").unwrap().to_owned();
    revoke(&oidc, &pki, &token).await;
    slow.stall();
    upstream.respond_with(move |request| {
        let is_old = request.header("authorization") == Some(&sent);
        MockResponse::status(if is_old { 401 } else { 200 })
    });
    let (url, seen) = (one.url("/api/x"), [&one, &other].map(|process| process.log().len()));
    let rejected = tokio::spawn(async move { Request::get(url).send().await });
    assert_eventually(WAIT, "the refresh token is being spent", async || {
        !redis.keys("{sidekey}:*:s").await.is_empty()
    })
    .await;
    log_in(&other, &oidc, &pki).await;
    slow.resume();
    rejected.await.unwrap();
    let refused = async || answers(&oidc, "400 invalid_grant") == 1;
    assert_eventually(WAIT, "the provider refuses the old refresh token", refused).await;
    assert_eq!(answers(&oidc, "400 invalid_grant"), 1, "{}", oidc.log());
    for (process, seen) in [&one, &other].into_iter().zip(seen) {
        process.ready().await;
        assert_eq!(process.get("/api/x").await.status, 200);
        let log = process.log()[seen..].to_owned();
        assert!(!log.contains("token not obtained"), "{log}");
    }
}

/// Ends the grant of an access token.
async fn revoke(oidc: &OidcProvider, pki: &Pki, token: &str) {
    let url = format!("{}/token/revocation", oidc.issuer());
    let (user, form) = (format!("native:{}", OidcProvider::SECRET), format!("token={token}"));
    let answer = Curl::call(&["--cacert", &pki.ca_file(), "-u", &user, "-d", &form, &url], b"").await;
    assert_eq!(answer.status, 200);
}
