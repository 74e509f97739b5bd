//! deploy/grafana/dashboard.json: every query returns data from a real Prometheus that scrapes a real
//! Sidekey.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::webhook::setup::Replica;
use crate::harness::{
    Curl, MockResponse, MockTokenEndpoint, MockUpstream, Pki, Prometheus, Sidekey, assert_eventually,
};
use crate::suite::oauth2::setup::service;

/// Panels that are empty if no such event has happened.
const MAY_BE_EMPTY: [&str; 11] = [
    "Calls of the webhook that failed",
    "Reloads",
    "Upstream retries",
    "Requests that failed at the upstream",
    "Requests rejected by a limit",
    "Certificates of upstreams and token endpoints",
    "Certificate files",
    "Clock skew",
    "Failing token requests by provider",
    "Shared store",
    "Shared tokens",
];

#[tokio::test]
async fn dashboard_queries_each_have_a_result() {
    let (upstream, login) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let webhook = Webhook::start().await;
    let (sidekey, prometheus) = observed_beside(&upstream, &login, &[&webhook.admin()]).await;

    // A counter that does not rise between two scrapes has no rate.
    prometheus.eventually("sidekey_credential_ready == 1").await;
    let rising = "sum(rate(sidekey_requests_total[30s])) > 0 and sum(rate(sidekey_request_errors_total[30s])) > 0 \
                  and sum(rate(sidekey_upstream_unauthorized_total[30s])) > 0 \
                  and sum(rate(sidekey_webhook_reviews_total[30s])) > 0";
    assert_eventually(Duration::from_secs(30), rising, async || {
        sidekey.get("/crm/a").await;
        sidekey.get("/nobody/a").await;
        webhook.review().await;
        upstream.next(MockResponse::status(403));
        sidekey.get("/crm/a").await;
        upstream.next(MockResponse::status(401));
        upstream.next(MockResponse::status(401));
        sidekey.get("/crm/a").await;
        !prometheus.query(rising).await.is_empty()
    })
    .await;

    let dashboard: Value =
        serde_json::from_str(&std::fs::read_to_string(root.join("deploy/grafana/dashboard.json")).unwrap())
            .unwrap();
    let mut count = 0;
    let panels = dashboard["panels"].as_array().unwrap();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().unwrap();
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{title} says what it shows");
        for target in panel["targets"].as_array().unwrap() {
            let query = filled(target["expr"].as_str().unwrap());
            let result = prometheus.query(&query).await;
            assert!(!result.is_empty() || MAY_BE_EMPTY.contains(&title), "{title}: {query} has no result");
            count += 1;
        }
    }
    assert!(count >= 20, "{count} queries");
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        // Fails if Prometheus rejects the query.
        prometheus.query(&filled(annotation["expr"].as_str().unwrap())).await;
    }
    let shown = dashboard["panels"].to_string();
    let rules = std::fs::read_to_string(root.join("deploy/prometheus/alerts.yaml")).unwrap();
    let metrics = rules.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    for metric in metrics.filter(|word| word.starts_with("sidekey_")) {
        // The timestamps of tokens are shown as the lifetime that is left.
        let is_shown = shown.contains(metric) || metric == "sidekey_token_last_success_timestamp_seconds";
        assert!(is_shown, "an alert is about {metric}, and no panel shows it");
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(query) = variable["definition"].as_str() else { continue };
        let series = query.trim_start_matches("label_values(").rsplit_once(',').unwrap().0;
        assert!(!prometheus.query(&filled(series)).await.is_empty(), "{query}");
    }
}

/// A Sidekey with one service, `crm`, and a Prometheus that scrapes it and evaluates the alert rules.
pub async fn observed(upstream: &MockUpstream, login: &MockTokenEndpoint) -> (Sidekey, Prometheus) {
    observed_beside(upstream, login, &[]).await
}

/// The same, with other targets for Prometheus.
async fn observed_beside(
    upstream: &MockUpstream,
    login: &MockTokenEndpoint,
    others: &[&str],
) -> (Sidekey, Prometheus) {
    let services = service("crm", upstream, login, "", "");
    let sidekey = Sidekey::serving(&services).start_ready().await;
    let target = sidekey.admin_url("").trim_start_matches("http://").to_owned();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus/alerts.yaml");
    let prometheus = Prometheus::scraping(&[&[target.as_str()], others].concat(), &rules).await;
    (sidekey, prometheus)
}

/// A replica of the webhook.
struct Webhook {
    pki: Pki,
    replica: Replica,
}

impl Webhook {
    async fn start() -> Self {
        let pki = Pki::new();
        let files = pki.server_files(&["127.0.0.1"]);
        let replica = Replica::with_files(&files.certificate, &files.key, &[]).await;
        Self { pki, replica }
    }

    fn admin(&self) -> String {
        self.replica.admin_url("").trim_start_matches("http://").to_owned()
    }

    /// Sends it a review, as the API server would.
    async fn review(&self) {
        let body = include_bytes!("../../data/webhook/pod.json");
        let (ca, url) = (self.pki.ca_file(), format!("https://{}/inject", self.replica.address()));
        let header = "Content-Type: application/json";
        Curl::call(&["--cacert", &ca, "--header", header, "--data-binary", "@-", &url], body).await;
    }
}

/// A query with Grafana's variables filled in.
fn filled(query: &str) -> String {
    let query = query.replace("$__rate_interval", "30s");
    query.replace("$instance", ".*").replace("$service", ".*").replace("$job", ".*")
}
