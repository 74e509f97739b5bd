//! OTLP exports decoded with OpenTelemetry's own message definitions.

use std::process::Command;

use serde_json::Value;

use super::super::process::run;
use super::{installed, tests_file};

/// Decodes exports in OTLP/JSON; returns each span with its `resource`. The test fails if OpenTelemetry's
/// messages have no such name or type.
pub async fn otlp_decode(exports: &[Value]) -> Vec<Value> {
    let mut command = Command::new(installed(".venv-otlp/bin/python"));
    command.arg(tests_file("real/otlp_decode.py"));
    let output = run(command, Value::from(exports).to_string().as_bytes()).await;
    assert!(output.status.success(), "not OTLP: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
