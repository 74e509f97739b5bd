//! Many services and many credentials: one change costs what that change costs, and a start is no herd.
//!
//! What is counted is what others see: token requests, opened files and series. Times are in docs/BENCHMARKS.md (`scripts/scale`).

use std::collections::HashSet;
use std::time::Duration;

use super::setup::{bearer, config};
use crate::harness::{
    Gate, MockTokenEndpoint, MockTokenResponse, MockUpstream, OpenedFiles, Sidekey, assert_eventually,
};

/// Time limit for what a thousand credentials take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(90);
/// The limit on token requests in progress at one server.
const AT_ONCE: usize = 32;

/// A configuration without debug logs and access log.
fn quiet(services: &str) -> String {
    config(services).replace("level: debug", "level: info").replace("access_log: true", "access_log: false")
}

/// An OAuth2 service. `client_secret` is the client's secret.
fn oauth2(name: &str, upstream: &MockUpstream, tokens: &MockTokenEndpoint, client_secret: &str) -> String {
    format!(
        "{name}: {{ upstream: '{}', auth: {{ type: oauth2, grant_type: client_credentials, token_url: '{}', client_id: {name}, \
         client_secret: {client_secret} }} }}\n",
        upstream.url(),
        tokens.url(),
    )
}

/// The clients of all token requests so far.
fn clients(tokens: &MockTokenEndpoint) -> Vec<String> {
    let client = |basic: String| basic.split(':').next().unwrap_or_default().to_owned();
    tokens.requests().iter().map(|request| client(request.basic().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn start_with_1000_credentials_requests_each_once() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let gate = Gate::closed();
    tokens.always(MockTokenResponse::issue(3600).delayed_until(&gate));
    let services: String =
        (0..1000).map(|number| oauth2(&format!("s{number}"), &upstream, &tokens, "s3cret")).collect();
    let sidekey = Sidekey::configured(&quiet(&services)).start().await;
    tokens.received(AT_ONCE).await;
    // Each of these is answered by the thread that makes the token requests.
    for _ in 0..20 {
        assert!(!sidekey.is_ready().await);
    }
    assert_eq!(tokens.request_count(), AT_ONCE, "the others wait for their turn");
    gate.open();
    assert_eventually(TIMEOUT, "every credential has a token", async || sidekey.is_ready().await).await;
    let clients = clients(&tokens);
    assert_eq!(clients.len(), 1000);
    assert_eq!(clients.into_iter().collect::<HashSet<_>>().len(), 1000, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_token_endpoint_delays_no_other_one() {
    let (upstream, hangs) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let answers = MockTokenEndpoint::plain().await;
    hangs.stall();
    let mut services: String =
        (0..2 * AT_ONCE).map(|number| oauth2(&format!("s{number}"), &upstream, &hangs, "s3cret")).collect();
    services += &oauth2("other", &upstream, &answers, "s3cret");
    let sidekey = Sidekey::configured(&quiet(&services)).start().await;
    hangs.received(AT_ONCE).await;
    answers.received(1).await;
    assert_eq!(sidekey.get("/other/x").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_of_one_in_2000_requests_its_token_alone() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let text = |changed: &str| {
        let mut services = String::new();
        for number in 0..1800 {
            services += &bearer(&format!("bearer-{number}"), &upstream, "t0ken");
        }
        for number in 0..200 {
            let name = format!("oauth2-{number}");
            let secret = if name == changed { "another" } else { "s3cret" };
            services += &oauth2(&name, &upstream, &tokens, secret);
        }
        quiet(&services)
    };
    let sidekey = Sidekey::configured(&text("")).start().await;
    assert_eventually(TIMEOUT, "every credential has a token", async || sidekey.is_ready().await).await;
    assert_eq!(tokens.request_count(), 200);
    sidekey.reconfigure(&text("oauth2-77"));
    assert!(sidekey.reload().await);
    tokens.received(201).await;
    let event = sidekey.logged("configuration reloaded").await;
    assert_eq!(event["services.changed"], "oauth2-77");
    // A second reload has nothing to do, and would have requested by now what the first one forgot.
    assert!(sidekey.reload().await);
    assert_eq!(clients(&tokens)[200..], ["oauth2-77"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_of_one_in_2000_opens_its_secret_alone() {
    let upstream = MockUpstream::plain().await;
    let service =
        |number| bearer(&format!("s{number}"), &upstream, &format!("{{ file: $DIR/secret-{number} }}"));
    let mut builder = Sidekey::configured(&quiet(&(0..2000).map(service).collect::<String>()));
    for number in 0..2000 {
        builder = builder.file(&format!("secret-{number}"), &format!("t0ken-{number}"));
    }
    let sidekey = builder.start().await;
    let opened = OpenedFiles::of(&sidekey.dir());
    let secrets = || opened.take().into_iter().filter(|name| name.starts_with("secret-")).collect::<Vec<_>>();
    // A file that was changed a moment ago is read again.
    let none_opened = async || {
        secrets();
        assert!(sidekey.reload().await);
        secrets().is_empty()
    };
    assert_eventually(TIMEOUT, "no secret is read for a reload without a change", none_opened).await;
    sidekey.write("secret-1234", "another");
    secrets();
    assert!(sidekey.reload().await);
    assert_eq!(secrets(), ["secret-1234"]);
    for (service, token) in [("s1234", "another"), ("s1233", "t0ken-1233")] {
        sidekey.get(&format!("/{service}/x")).await;
        let sent = upstream.last_request().header("authorization").map(str::to_owned);
        assert_eq!(sent, Some(format!("Bearer {token}")));
    }
}

#[tokio::test]
async fn series_of_each_service_are_bounded() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let text = |count: usize| {
        let pair = |number| {
            let (one, other) = (format!("bearer-{number}"), format!("oauth2-{number}"));
            bearer(&one, &upstream, "t0ken") + &oauth2(&other, &upstream, &tokens, "s3cret")
        };
        quiet(&(0..count).map(pair).collect::<String>())
    };
    let sidekey = Sidekey::configured(&text(10)).start_ready().await;
    let series = async || {
        let metrics = sidekey.metrics().await;
        metrics.lines().filter(|line| line.contains("service=\"")).count()
    };
    let ten = series().await;
    sidekey.reconfigure(&text(20));
    assert!(sidekey.reload().await);
    assert_eventually(TIMEOUT, "every credential has a token", async || sidekey.is_ready().await).await;
    tokens.received(20).await;
    let has_all = async || series().await == 2 * ten;
    assert_eventually(TIMEOUT, "twice as many series", has_all).await;
    // Three histograms of fifteen buckets each, or two for a static credential, and what is counted beside them.
    assert!(ten <= 10 * (70 + 50), "{ten}");
    // What was added leaves nothing.
    sidekey.reconfigure(&text(10));
    assert!(sidekey.reload().await);
    assert_eq!(series().await, ten);
}
