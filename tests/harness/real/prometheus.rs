//! A Prometheus server that scrapes Sidekey, and evaluates its alert rules, every half second.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::super::process::Process;
use super::super::{Connection, Request, assert_eventually, port};
use super::tool;

/// A running Prometheus; it ends when this is dropped.
pub struct Prometheus {
    _process: Process,
    _dir: TempDir,
    port: u16,
}

impl Prometheus {
    /// Scrapes `http://TARGET/metrics` of each target as job `sidekey`, with the rules of a file: their expressions
    /// unchanged, evaluated more often, and without `for:`.
    pub async fn scraping(targets: &[&str], rules: &Path) -> Self {
        let dir = TempDir::with_prefix("sidekey-prometheus-").unwrap();
        let config = format!(
            "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }}\n\
             rule_files: [rules.yaml]\n\
             scrape_configs: [{{ job_name: sidekey, static_configs: [{{ targets: {targets:?} }}] }}]\n"
        );
        std::fs::write(
            dir.path().join("rules.yaml"),
            with_short_intervals(&std::fs::read_to_string(rules).unwrap()),
        )
        .unwrap();
        std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        for _ in 0..5 {
            let port = port::free();
            let mut command = Command::new(tool("prometheus"));
            command.arg(format!("--config.file={}/prometheus.yml", dir.path().display()));
            command.arg(format!("--storage.tsdb.path={}/data", dir.path().display()));
            command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
            let mut process = Process::spawn("prometheus", &mut command);
            if is_ready(&mut process, port).await {
                return Self { _process: process, _dir: dir, port };
            }
            let output = process.output();
            assert!(output.contains("address already in use"), "Prometheus does not start: {output}");
        }
        panic!("Prometheus finds no free port");
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The result of an instant query; the test fails if Prometheus rejects the query.
    pub async fn query(&self, query: &str) -> Vec<Value> {
        let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let answer = Request::get(self.url(&format!("/api/v1/query?query={query}"))).send().await;
        let answer: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// Waits until a query has a result.
    pub async fn eventually(&self, query: &str) {
        assert_eventually(Duration::from_secs(30), query, async || !self.query(query).await.is_empty()).await;
    }

    /// The firing alerts in `/api/v1/alerts`.
    pub async fn firing(&self) -> Vec<Value> {
        let answer = Request::get(self.url("/api/v1/alerts")).send().await;
        let mut answer: Value = serde_json::from_str(&answer.text()).unwrap();
        let Value::Array(mut alerts) = answer["data"]["alerts"].take() else { panic!("no list: {answer}") };
        alerts.retain(|alert| alert["state"] == "firing");
        alerts
    }
}

/// The alert rules without `interval:` and `for:`.
fn with_short_intervals(rules: &str) -> String {
    let is_time = |line: &&str| ["interval: ", "for: "].iter().any(|key| line.trim_start().starts_with(key));
    assert!(rules.lines().filter(is_time).count() > 1, "the rules have intervals");
    rules.lines().filter(|line| !is_time(line)).fold(String::new(), |all, line| all + line + "\n")
}

/// Waits until Prometheus is ready; false if it has ended.
async fn is_ready(process: &mut Process, port: u16) -> bool {
    let mut ready = false;
    assert_eventually(Duration::from_secs(30), "Prometheus is ready", async || {
        if Connection::try_open(([127, 0, 0, 1], port).into()).await.is_ok() {
            ready = Request::get(format!("http://127.0.0.1:{port}/-/ready")).send().await.status == 200;
        }
        ready || process.exit_status().is_some()
    })
    .await;
    ready
}
