//! PodMonitor, PrometheusRule and dashboard: made from deploy/prometheus and deploy/grafana.

use std::fs;
use std::process::Command;

use serde_yaml::Value;

use super::objects::{find, list};
use super::rendered::{deploy, kubernetes, rendered};
use crate::harness::tool;

/// What `make manifests` writes in front of the rules.
const HEAD: &str = "\
# Written from deploy/prometheus/alerts.yaml by `make manifests`. Write where your copy of the runbook is in place of
# https://sidekey.example.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: sidekey
  labels: { app.kubernetes.io/name: sidekey, app.kubernetes.io/component: monitoring }
spec:
";

/// Set by `make manifests`: writes the file.
const WRITE: &str = "SIDEKEY_WRITE";

#[test]
fn prometheus_rule_is_what_the_alerts_say() {
    let alerts = read("prometheus/alerts.yaml");
    let groups = &alerts[alerts.find("\ngroups:\n").unwrap() + 1..];
    let lines =
        groups.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") });
    let expected = HEAD.to_owned() + &lines.collect::<String>();
    let file = kubernetes().join("components/monitoring/prometheusrule.yaml");
    if std::env::var_os(WRITE).is_some() {
        fs::write(&file, &expected).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "{} is not what the alerts say; run: make manifests", file.display());
}

#[test]
fn rendered_alerts_are_those_of_the_file_and_pass_promtool() {
    let alerts: Value = serde_yaml::from_str(&read("prometheus/alerts.yaml")).unwrap();
    for name in ["examples/gateway", "gateway-values.yaml"] {
        assert_eq!(find(&rendered(name).objects, "PrometheusRule", "sidekey")["spec"], alerts, "{name}");
    }
    // With the links of the values, and nothing else changed.
    let moved = &find(&rendered("operators-values.yaml").objects, "PrometheusRule", "sidekey")["spec"];
    let text = serde_yaml::to_string(moved).unwrap();
    assert!(!text.contains("sidekey.example/"), "{text}");
    let back = text.replace("https://runbooks.example.com/sidekey/", "https://sidekey.example/");
    assert_eq!(serde_yaml::from_str::<Value>(&back).unwrap(), alerts);

    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, text).unwrap();
    let output = Command::new(tool("promtool")).args(["check", "rules"]).arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn rendered_dashboard_is_that_of_the_file() {
    let dashboard = read("grafana/dashboard.json");
    for name in ["examples/gateway", "gateway-values.yaml", "operators-values.yaml"] {
        let map = find(&rendered(name).objects, "ConfigMap", "sidekey-dashboard");
        assert_eq!(map["data"]["sidekey.json"].as_str().unwrap().trim_end(), dashboard.trim_end(), "{name}");
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1", "what Grafana's sidecar looks for");
    }
}

#[test]
fn pod_monitor_finds_what_the_scrape_configuration_finds() {
    let scrape: Value = serde_yaml::from_str(&read("prometheus/scrape.yaml")).unwrap();
    let scrape = &scrape["scrape_configs"][0];
    let monitor = find(&rendered("examples/gateway").objects, "PodMonitor", "sidekey");
    let endpoint = &list(&monitor["spec"], "podMetricsEndpoints")[0];
    assert_eq!(endpoint["port"], scrape["relabel_configs"][0]["regex"]);
    assert_eq!(endpoint["interval"], scrape["scrape_interval"]);
    assert_eq!(
        list(endpoint, "relabelings")[0]["replacement"],
        scrape["job_name"],
        "the job that the alerts name"
    );
}

fn read(file: &str) -> String {
    fs::read_to_string(deploy().join(file)).unwrap()
}
