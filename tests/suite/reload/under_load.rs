//! Reloads under load: no request fails, and unchanged parts are kept.

use super::setup::{bearer, config};
use crate::harness::{
    Load, MockResponse, MockTokenEndpoint, MockUpstream, Sidekey, TIMEOUT, assert_eventually,
};
use crate::suite::oauth2::setup::service;

fn quiet(services: &str) -> String {
    config(services).replace("level: debug", "level: info").replace("access_log: true", "access_log: false")
}

#[tokio::test]
async fn reload_100_times_under_load_fails_no_request() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let stays = bearer("api", &upstream, "t") + &service("crm", &upstream, &tokens, "", "");
    let sidekey = Sidekey::configured(&quiet(&stays)).start_ready().await;
    let load = Load::start(sidekey.address(), &["/api/x", "/crm/x", "/api/y", "/crm/y"]);
    load.answers(50).await;
    for round in 0..100 {
        // Another service each time, before those that stay; every other one has its own listener.
        let listen = if round % 2 == 0 { "listen: 127.0.0.1:0," } else { "" };
        let passing =
            bearer(&format!("passing-{round}"), &upstream, "p").replacen('{', &format!("{{ {listen}"), 1);
        sidekey.reconfigure(&quiet(&(passing + &stays)));
        assert!(sidekey.reload().await, "{}", sidekey.log());
        load.answers(4).await;
    }
    let outcome = load.stop().await;
    assert_eq!(outcome.failures, Vec::<String>::new(), "of {}", outcome.answered);
    assert_eq!(tokens.request_count(), 1, "the token stayed");
    assert!(upstream.connections() <= 4, "the connections stayed: {}", upstream.connections());
    // A request is counted after its response is sent.
    let counted = async || {
        let count = sidekey.metric("sidekey_requests_total", &[]).await.unwrap();
        count.to_string() == outcome.answered.to_string()
    };
    assert_eventually(TIMEOUT, "every request is counted", counted).await;
}

#[tokio::test]
async fn secrets_rotate_by_reload_under_load() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let to = upstream.url();
    let services = format!(
        "basic: {{ upstream: '{to}', auth: {{ type: basic, username: u, password: {{ file: $DIR/secret }} }} }}\n\
         bearer: {{ upstream: '{to}', auth: {{ type: bearer, token: {{ file: $DIR/secret }} }} }}\n\
         header: {{ upstream: '{to}', auth: {{ type: api_key, in: header, name: X-Key, value: {{ file: $DIR/secret }} }} }}\n\
         query: {{ upstream: '{to}', auth: {{ type: api_key, in: query, name: key, value: {{ file: $DIR/secret }} }} }}\n\
         cookie: {{ upstream: '{to}', auth: {{ type: api_key, in: cookie, name: key, value: {{ file: $DIR/secret }} }} }}\n"
    ) + &service("oauth2", &upstream, &tokens, "", "")
        .replace("s3cret", "{ file: $DIR/secret }");
    // Echoes the credential for the test; the path names the service.
    upstream.respond_with(|request| {
        let field = |name| request.header(name).unwrap_or_default();
        MockResponse::ok(format!(
            "{}{}{}{}",
            field("authorization"),
            field("x-key"),
            field("cookie"),
            request.target
        ))
    });
    let sidekey = Sidekey::configured(&quiet(&services)).file("secret", "secret0").start_ready().await;
    let kinds = ["basic", "bearer", "header", "query", "cookie", "oauth2"];
    let paths = kinds.map(|kind| format!("/{kind}/x"));
    let load = Load::start(sidekey.address(), &paths.each_ref().map(String::as_str));
    load.answers(50).await;
    let of = async |kind: &str| sidekey.get(&format!("/{kind}/x")).await.text();
    let mut seen = Vec::new();
    for kind in kinds {
        seen.push(of(kind).await);
    }
    for round in 1..=10 {
        sidekey.write("secret", &format!("secret{round}"));
        assert!(sidekey.reload().await);
        tokens.received(round + 1).await;
        for (kind, before) in kinds.iter().zip(&mut seen).filter(|(kind, _)| **kind != "oauth2") {
            let now = of(kind).await;
            assert_ne!(now, *before, "the next request has the new one: {kind}");
            *before = now;
        }
        load.answers(6).await;
    }
    let outcome = load.stop().await;
    assert_eq!(outcome.failures, Vec::<String>::new(), "of {}", outcome.answered);
    assert_eq!(tokens.request_count(), 11, "one token for each secret");
    assert!(upstream.connections() <= 2 * kinds.len(), "the connections stayed: {}", upstream.connections());
    assert_eq!(sidekey.metric("sidekey_secret_reload_total", &[("result", "success")]).await, Some(10.0));
}
