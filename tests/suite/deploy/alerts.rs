//! deploy/prometheus/alerts.yaml: Prometheus' own tests of every rule, and the links from alerts to the
//! runbook.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use serde_yaml::Value;

use crate::harness::{Alertmanager, TIMEOUT, assert_eventually, tool};

/// The address of docs/OPERATIONS.md, which operators replace by their own.
const RUNBOOK: &str = "https://sidekey.example/docs/OPERATIONS.md#";

#[test]
fn alert_rules_pass_promtool_check_and_test() {
    for (command, file) in [("check", "alerts.yaml"), ("test", "alerts.test.yaml")] {
        let output = Command::new(tool("promtool"))
            .args([command, "rules"])
            .arg(folder().join(file))
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn alert_rules_are_each_tested_silent_and_firing() {
    let tests: Value = serde_yaml::from_str(&read("alerts.test.yaml")).unwrap();
    let cases = || {
        tests["tests"]
            .as_sequence()
            .unwrap()
            .iter()
            .flat_map(|test| test["alert_rule_test"].as_sequence().unwrap())
    };
    let names = |fires: bool| -> BTreeSet<String> {
        let of = |case: &&Value| case.get("exp_alerts").is_some() == fires;
        cases().filter(of).map(|case| case["alertname"].as_str().unwrap().to_owned()).collect()
    };
    let alerts: BTreeSet<String> =
        rules().iter().map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names(true), alerts, "each fires in a test");
    assert_eq!(names(false), alerts, "each is silent in a test");
}

#[test]
fn runbook_has_section_for_each_alert_and_reason() {
    let runbook = std::fs::read_to_string(root().join("docs/OPERATIONS.md")).unwrap();
    let anchors: BTreeSet<String> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(|title| title.trim_matches('`').to_lowercase().replace(' ', "-"))
        .collect();
    for rule in rules() {
        let link = rule["annotations"]["runbook_url"].as_str().unwrap();
        let anchor = link.strip_prefix(RUNBOOK).expect("an absolute link into the runbook");
        assert_eq!(anchor, rule["alert"].as_str().unwrap().to_lowercase());
        assert!(anchors.contains(anchor), "docs/OPERATIONS.md has no section {anchor}");
    }
    let source = std::fs::read_to_string(root().join("src/metrics/error_reason.rs")).unwrap();
    let reasons = source.split("pub const fn as_str").nth(1).unwrap().split("fn ").next().unwrap();
    let reasons: Vec<&str> = reasons.split('"').skip(1).step_by(2).collect();
    assert!(reasons.len() >= 9, "{reasons:?}");
    for reason in reasons {
        assert!(anchors.contains(reason), "docs/OPERATIONS.md has no section {reason}");
    }
}

#[test]
fn alertmanager_config_passes_amtool_and_names_alerts_that_there_are() {
    let file = folder().join("alertmanager.yaml");
    let output = Command::new(tool("amtool")).arg("check-config").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config = std::fs::read_to_string(file).unwrap();
    let is_word = |c: char| c.is_ascii_alphanumeric();
    let named = config.split(|c| !is_word(c)).filter(|word| word.starts_with("Sidekey") && word.len() > 7);
    let alerts: BTreeSet<_> = rules().iter().map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect();
    let unknown: Vec<_> = named.filter(|name| !alerts.contains(*name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[tokio::test]
async fn identity_provider_that_is_down_pages_once() {
    let alertmanager = Alertmanager::configured(&folder().join("alertmanager.yaml")).await;
    let service = |alert: &str, name: &str, provider: &str| json!({ "alertname": alert, "instance": "a", "service": name, "provider": provider, "severity": "page" });
    let down = json!({ "alertname": "SidekeyIdentityProviderDown", "provider": "login.example.com", "severity": "page" });
    let other = service("SidekeyTokenExpiresSoon", "stripe", "id.example.com");
    let mut alerts = vec![down.clone(), other.clone()];
    for name in ["crm", "billing", "mail"] {
        alerts.push(service("SidekeyTokenExpiresSoon", name, "login.example.com"));
        alerts.push(service("SidekeyCredentialUnavailable", name, "login.example.com"));
    }
    alertmanager.fire(&alerts).await;
    let expected = BTreeSet::from([down.to_string(), other.to_string()]);
    assert_eventually(TIMEOUT, "the provider, and a service of another one", async || {
        alertmanager.sent().await.iter().map(ToString::to_string).collect::<BTreeSet<_>>() == expected
    })
    .await;
}

#[tokio::test]
async fn one_fault_that_is_seen_in_several_ways_pages_once() {
    let alertmanager = Alertmanager::configured(&folder().join("alertmanager.yaml")).await;
    let fires = |alert: &str, service: &str| json!({ "alertname": alert, "instance": "a", "service": service, "severity": "page" });
    alertmanager
        .fire(&[
            fires("SidekeyCredentialRefused", "crm"),
            fires("SidekeyTokenExpiresSoon", "crm"),
            fires("SidekeyCredentialUnavailable", "crm"),
            fires("SidekeyUpstreamFailing", "maps"),
            fires("SidekeyUpstreamUnreachable", "maps"),
            fires("SidekeyCircuitBreakerOpen", "maps"),
            fires("SidekeyUpstreamUnreachable", "mail"),
        ])
        .await;
    let expected =
        ["SidekeyCredentialRefused crm", "SidekeyUpstreamFailing maps", "SidekeyUpstreamUnreachable mail"];
    assert_eventually(TIMEOUT, "one for each service", async || {
        let text = |alert: &serde_json::Value| {
            format!("{} {}", alert["alertname"].as_str().unwrap(), alert["service"].as_str().unwrap())
        };
        let mut sent: Vec<_> = alertmanager.sent().await.iter().map(text).collect();
        sent.sort();
        sent == expected
    })
    .await;
}

fn rules() -> Vec<Value> {
    let alerts: Value = serde_yaml::from_str(&read("alerts.yaml")).unwrap();
    alerts["groups"][0]["rules"].as_sequence().unwrap().clone()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).unwrap()
}

fn folder() -> PathBuf {
    root().join("deploy/prometheus")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
