//! A Django site with its own logins and sessions (tests/real/django_sessions.py).

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::super::assert_eventually;
use super::super::process::Process;
use super::{installed, tests_file};

/// A running site on `http://127.0.0.1:PORT`.
pub struct Django {
    process: Process,
    _dir: TempDir,
    port: u16,
}

impl Django {
    pub async fn start() -> Self {
        let dir = TempDir::with_prefix("sidekey-django-").unwrap();
        let mut command = Command::new(installed(".venv-django/bin/python"));
        command.arg(tests_file("real/django_sessions.py")).arg(dir.path());
        let mut process = Process::spawn("Django", &mut command);
        let mut port = None;
        assert_eventually(Duration::from_secs(30), "Django listens", async || {
            assert!(process.exit_status().is_none(), "Django ended: {}", process.output());
            port = process
                .output()
                .split_once("listening on ")
                .and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok());
            port.is_some()
        })
        .await;
        Self { process, _dir: dir, port: port.unwrap() }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        self.process.output()
    }
}
