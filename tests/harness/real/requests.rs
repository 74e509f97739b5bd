//! Python's requests, the client of many internal scripts.

use std::process::Command;

use serde_json::Value;

use super::super::process::run;
use super::{installed, tests_file};

/// Makes the calls in one session, one after the other, and returns the result of each: `status`, `headers`,
/// `length` and `sha256` of the body, and its `text`. A call has `method`, `url`, and perhaps `headers`,
/// `text` or `random_bytes` (a body of that size, seeded by `seed`).
pub async fn python_requests(calls: &Value) -> Vec<Value> {
    let mut command = Command::new(installed(".venv-requests/bin/python"));
    command.arg(tests_file("real/requests_calls.py"));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name);
    }
    let output = run(command, calls.to_string().as_bytes()).await;
    assert!(output.status.success(), "requests: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
