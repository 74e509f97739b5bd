//! Alertmanager, which decides which alerts are sent.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::process::Process;
use super::super::{Connection, Request, assert_eventually, port};
use super::tool;

/// A running Alertmanager; it ends when this is dropped.
pub struct Alertmanager {
    _process: Process,
    _dir: TempDir,
    port: u16,
}

impl Alertmanager {
    /// Starts it with this configuration.
    pub async fn configured(file: &Path) -> Self {
        let dir = TempDir::with_prefix("sidekey-alertmanager-").unwrap();
        for _ in 0..5 {
            let port = port::free();
            let mut command = Command::new(tool("prometheus-alertmanager"));
            command.arg(format!("--config.file={}", file.display()));
            command.arg(format!("--storage.path={}", dir.path().display()));
            command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
            command.arg("--cluster.listen-address=");
            let mut process = Process::spawn("alertmanager", &mut command);
            let mut ready = false;
            assert_eventually(Duration::from_secs(30), "Alertmanager is ready", async || {
                if Connection::try_open(([127, 0, 0, 1], port).into()).await.is_ok() {
                    let answer = Request::get(format!("http://127.0.0.1:{port}/-/ready")).send().await;
                    ready = answer.status == 200;
                }
                ready || process.exit_status().is_some()
            })
            .await;
            if ready {
                return Self { _process: process, _dir: dir, port };
            }
            let output = process.output();
            assert!(output.contains("address already in use"), "Alertmanager does not start: {output}");
        }
        panic!("Alertmanager finds no free port");
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v2/alerts", self.port)
    }

    /// Lets these alerts fire, each with its labels.
    pub async fn fire(&self, alerts: &[Value]) {
        let alerts: Vec<_> = alerts.iter().map(|labels| json!({ "labels": labels })).collect();
        let body = serde_json::to_string(&alerts).unwrap();
        let answer = Request::post(self.url(), body).header("Content-Type", "application/json").send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// The labels of the alerts that are sent, which are those that nothing inhibits.
    pub async fn sent(&self) -> Vec<Value> {
        let answer = Request::get(self.url() + "?inhibited=false").send().await;
        let Ok(Value::Array(alerts)) = serde_json::from_str(&answer.text()) else {
            panic!("no list: {}", answer.text())
        };
        alerts.into_iter().map(|mut alert| alert["labels"].take()).collect()
    }
}
