//! A drill: each fault is caused at a real Sidekey, and the alert that leads to its cause fires in a real Prometheus.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{
    Connection, MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, Pki, Prometheus,
    RefusingPort, Sidekey, assert_eventually,
};
use crate::suite::oauth2::setup::service;

/// The limit of a fault: until a token of half a minute has expired, and a few scrapes.
const LIMIT: Duration = Duration::from_secs(60);

/// Alert and service; the service is empty if the alert is about all of them.
type Alerts = BTreeSet<(String, String)>;

async fn firing(prometheus: &Prometheus) -> Alerts {
    let alerts = prometheus.firing().await.into_iter().map(|alert| {
        let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
        (label("alertname"), label("service"))
    });
    alerts.collect()
}

fn alerts(all: &[(&str, &str)]) -> Alerts {
    all.iter().map(|(alert, service)| ((*alert).to_owned(), (*service).to_owned())).collect()
}

async fn observed_by_prometheus(sidekey: &Sidekey) -> Prometheus {
    let target = sidekey.admin_url("").trim_start_matches("http://").to_owned();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus/alerts.yaml");
    let prometheus = Prometheus::scraping(&[&target], &rules).await;
    prometheus.eventually("sidekey_build_info").await;
    prometheus
}

/// Calls each of these services until the alerts that fire are exactly the expected ones.
async fn called_until(sidekey: &Sidekey, prometheus: &Prometheus, services: &[&str], expected: &Alerts) {
    let mut seen = Alerts::new();
    let calls = async {
        assert_eventually(LIMIT, "the alerts of these faults, and no other", async || {
            for service in services {
                sidekey.get(&format!("/{service}/x")).await;
            }
            seen = firing(prometheus).await;
            seen == *expected
        })
        .await;
    };
    calls.await;
    assert_eq!(seen, *expected);
}

fn bearer(name: &str, upstream: &str, more: &str) -> String {
    format!("{name}: {{ upstream: '{upstream}', {more} auth: {{ type: bearer, token: t }} }}\n")
}

#[tokio::test]
async fn faults_of_upstreams_have_an_alert_each() {
    let pki = Pki::new();
    let healthy = MockUpstream::plain().await;
    let refusing = RefusingPort::new();
    let refusing = format!("http://{}", refusing.address);
    let expired = MockUpstream::tls_with(pki.expired_server(&["localhost", "127.0.0.1"])).await;
    let ending = MockUpstream::tls_with(pki.server_ending_in(&["localhost", "127.0.0.1"], 3)).await;
    let [silent, errors, unauthorized] =
        [MockUpstream::plain().await, MockUpstream::plain().await, MockUpstream::plain().await];
    silent.always(MockResponse::never());
    errors.always(MockResponse::status(500));
    unauthorized.always(MockResponse::status(401));
    let trust = format!("tls: {{ ca_file: '{}' }},", pki.ca_file());
    let services = bearer("healthy", &healthy.url(), "")
        + &bearer("unresolved", "https://unresolved.invalid", "")
        + &bearer("refused", &refusing, "")
        + &bearer("expired", &expired.url(), &trust)
        + &bearer("ending", &ending.url(), &trust)
        + &bearer("silent", &silent.url(), "timeouts: { first_byte: 50ms },")
        + &bearer("errors", &errors.url(), "")
        + &bearer("unauthorized", &unauthorized.url(), "")
        + &bearer("limited", &healthy.url(), "rate_limit: 1/h,")
        + &bearer("broken", &refusing, "circuit_breaker: { consecutive_failures: 3, open_duration: 1h },");
    let sidekey = Sidekey::serving(&services).start_ready().await;
    let prometheus = observed_by_prometheus(&sidekey).await;
    called_until(&sidekey, &prometheus, &["healthy"], &Alerts::new()).await;

    let all = [
        "healthy",
        "unresolved",
        "refused",
        "expired",
        "ending",
        "silent",
        "errors",
        "unauthorized",
        "limited",
        "broken",
    ];
    let mut expected = alerts(&[
        ("SidekeyUpstreamCertificateExpiring", "expired"),
        ("SidekeyUpstreamCertificateExpiring", "ending"),
        ("SidekeyUpstreamAnswersErrors", "errors"),
        ("SidekeyUpstreamUnauthorized", "unauthorized"),
        ("SidekeyOverloaded", "limited"),
        ("SidekeyCircuitBreakerOpen", "broken"),
        ("SidekeyUpstreamUnreachable", "broken"),
    ]);
    for service in ["unresolved", "refused", "expired", "silent"] {
        expected
            .extend(alerts(&[("SidekeyUpstreamFailing", service), ("SidekeyUpstreamUnreachable", service)]));
    }
    called_until(&sidekey, &prometheus, &all, &expected).await;

    // The alerts lead to the cause: by the reason, and by the line in the log.
    for (service, reason, cause) in [
        ("unresolved", "upstream_connect", "cannot resolve unresolved.invalid"),
        ("refused", "upstream_connect", "refused"),
        ("expired", "upstream_tls", "certificate expired: it was valid until 2002-01-01T00:00:00Z"),
        ("silent", "upstream_timeout", "did not answer in time"),
    ] {
        let alert = prometheus.firing().await.into_iter().find(|alert| {
            alert["labels"]["alertname"] == "SidekeyUpstreamFailing" && alert["labels"]["service"] == service
        });
        let text = alert.unwrap()["annotations"]["description"].as_str().unwrap().to_owned();
        assert!(text.contains(reason), "{service}: {text}");
        let is_line = |event: &serde_json::Value| {
            let message = event["message"].as_str().unwrap_or_default();
            event["sidekey.service"] == service
                && message.starts_with("request failed")
                && message.contains(cause)
        };
        assert!(sidekey.events().iter().any(is_line), "{service}: a line with {cause}");
    }
}

#[tokio::test]
async fn faults_of_identity_providers_have_an_alert_each() {
    let pki = Pki::new();
    let upstream = MockUpstream::plain().await;
    let [healthy, down, refusing, skewed] = [
        MockTokenEndpoint::plain().await,
        MockTokenEndpoint::plain().await,
        MockTokenEndpoint::plain().await,
        MockTokenEndpoint::plain().await,
    ];
    let ending = MockUpstream::tls_with(pki.server_ending_in(&["localhost", "127.0.0.1"], 3)).await;
    ending.always(MockResponse::json(&json!({ "access_token": "t", "expires_in": 3600 })));
    down.always(MockTokenResponse::issue(25));
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    let dated = MockResponse::json(&json!({ "access_token": "t", "expires_in": 3600 }));
    skewed.always(dated.header("Date", &httpdate::fmt_http_date(hour_ago)));
    let services = service("healthy", &upstream, &healthy, "", "")
        + &service("crm", &upstream, &down, "scopes: [a],", "")
        + &service("billing", &upstream, &down, "scopes: [b],", "")
        + &service("refused", &upstream, &refusing, "", "")
        + &service("skewed", &upstream, &skewed, "", "")
        + &format!(
            "ending: {{ upstream: '{}', auth: {{ type: oauth2, grant_type: client_credentials, client_id: me, \
             client_secret: s3cret, token_url: '{}/t', tls: {{ ca_file: '{}' }} }} }}\n",
            upstream.url(),
            ending.url(),
            pki.ca_file()
        );
    let sidekey = Sidekey::serving(&services).start_ready().await;
    let prometheus = observed_by_prometheus(&sidekey).await;
    // Two faults are there from the start.
    let mut expected =
        alerts(&[("SidekeyTokenEndpointCertificateExpiring", "ending"), ("SidekeyClockSkew", "skewed")]);
    called_until(&sidekey, &prometheus, &["healthy"], &expected).await;
    let skew = sidekey.logged_like("clock skew").await;
    assert_eq!(skew["sidekey.service"], "skewed");
    // The server's clock has whole seconds.
    let seconds = skew["clock.skew_s"].as_f64().map(f64::abs).unwrap();
    assert!((3599.0..=3601.0).contains(&seconds), "{seconds}");

    // One provider is down for two services, and another one refuses a client: a changed client secret is used at once.
    drop(down);
    refusing.always(MockTokenResponse::error(401, "invalid_client"));
    let refused = services.lines().find(|line| line.starts_with("refused")).unwrap();
    let changed = services.replace(refused, &refused.replace("s3cret", "wr0ng"));
    sidekey.reconfigure(&Sidekey::configuration_serving(&changed));
    assert!(sidekey.reload().await);
    expected.extend(alerts(&[
        ("SidekeyIdentityProviderDown", ""),
        ("SidekeyTokenExpiresSoon", "crm"),
        ("SidekeyTokenExpiresSoon", "billing"),
        ("SidekeyCredentialUnavailable", "crm"),
        ("SidekeyCredentialUnavailable", "billing"),
        ("SidekeyCredentialRefused", "refused"),
    ]));
    called_until(&sidekey, &prometheus, &["healthy"], &expected).await;
    let provider = prometheus.query("ALERTS{alertname='SidekeyIdentityProviderDown'}").await;
    let provider = provider[0]["metric"]["provider"].as_str().unwrap().to_owned();
    let of_provider =
        prometheus.query(&format!("ALERTS{{provider='{provider}', alertstate='firing'}}")).await;
    assert_eq!(of_provider.len(), 5, "they have the label that Alertmanager inhibits by: {of_provider:?}");
}

/// Sets a limit of a running process.
fn limit(sidekey: &Sidekey, limit: &str) {
    let process = format!("--pid={}", sidekey.process_id());
    let status = Command::new("prlimit").args([&process, limit]).status();
    assert!(status.expect("prlimit, of util-linux").success());
}

#[tokio::test]
async fn faults_of_the_process_have_an_alert_each() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let rotating = MockTokenEndpoint::plain().await;
    endpoint.always(MockTokenResponse::issue(3));
    rotating.always(MockTokenResponse::issue_with(json!(3), json!({ "refresh_token": "next" })));
    let state = TempDir::new().unwrap();
    let services = service("kept", &upstream, &endpoint, "", "")
        + &format!(
            "rotated: {{ upstream: '{}', auth: {{ type: oauth2, grant_type: refresh_token, refresh_token: r, client_id: me, \
             token_url: '{}' }} }}\n",
            upstream.url(),
            rotating.url()
        )
        + &bearer("static", &upstream.url(), "");
    let config = format!(
        "state: {{ dir: '{}', key: a-key-of-the-state-folder-0123456789, access_tokens: true }}\n{}",
        state.path().join("state").display(),
        Sidekey::configuration_serving(&services)
    );
    let mut sidekey = Sidekey::configured(&config).start_ready().await;
    let prometheus = observed_by_prometheus(&sidekey).await;
    called_until(&sidekey, &prometheus, &["static"], &Alerts::new()).await;

    // What a full disk does.
    limit(&sidekey, "--fsize=0:unlimited");
    let contains = async |expected: Alerts| {
        assert_eventually(LIMIT, &format!("{expected:?}"), async || {
            expected.is_subset(&firing(&prometheus).await)
        })
        .await;
    };
    contains(alerts(&[("SidekeyStateNotWritten", "rotated"), ("SidekeyStateWritesFailing", "kept")])).await;
    limit(&sidekey, "--fsize=unlimited:unlimited");

    sidekey.reconfigure(&config.replace("services:", "servicez:"));
    contains(alerts(&[("SidekeyReloadFailing", "")])).await;
    sidekey.reconfigure(&config);

    // No descriptor is left; Prometheus has its connection already.
    limit(&sidekey, "--nofile=16:4096");
    let mut callers = Vec::new();
    let accept_failures = async |callers: &mut Vec<Connection>| {
        assert_eventually(LIMIT, "connections are not accepted", async || {
            callers.extend(Connection::try_open(sidekey.address()).await);
            firing(&prometheus).await.is_superset(&alerts(&[("SidekeyAcceptFailing", "")]))
        })
        .await;
    };
    accept_failures(&mut callers).await;
    drop(callers);

    sidekey.terminate().await;
    contains(alerts(&[("SidekeyDown", "")])).await;
}
