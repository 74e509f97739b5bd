//! httpbin on gunicorn, over TLS: an upstream that echoes requests and has many forms of responses.

use std::process::Command;
use std::time::Duration;

use super::super::process::Process;
use super::super::{Pki, assert_eventually};
use super::installed;

/// A running httpbin on `https://localhost:PORT`.
pub struct Httpbin {
    process: Process,
    port: u16,
}

impl Httpbin {
    pub async fn start(pki: &Pki) -> Self {
        let files = pki.server_files(&["localhost"]);
        let mut command = Command::new(installed(".venv-httpbin/bin/python"));
        command.args(["-m", "gunicorn", "--bind", "127.0.0.1:0", "--worker-class", "gthread"]);
        command.args(["--threads", "8", "--certfile"]).arg(files.certificate).arg("--keyfile").arg(files.key);
        command.arg("httpbin:app");
        let mut process = Process::spawn("httpbin", &mut command);
        let port = |process: &Process| {
            let output = process.output();
            let (_, rest) = output.split_once("Listening at: https://127.0.0.1:")?;
            rest.split_once(' ')?.0.parse().ok()
        };
        assert_eventually(Duration::from_secs(30), "httpbin listens", async || {
            assert!(process.exit_status().is_none(), "httpbin ended: {}", process.output());
            port(&process).is_some() && process.output().contains("Booting worker")
        })
        .await;
        let port = port(&process).unwrap();
        Self { process, port }
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Its output on standard error.
    pub fn log(&self) -> String {
        self.process.output()
    }
}
