//! OTLP exports decoded with OpenTelemetry's own message definitions.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::process::run;
use super::super::recorded_request::RecordedRequest;
use super::{installed, tests_file};

/// Decodes exports by their `Content-Type`; returns each span with its `resource`. The test fails if OpenTelemetry's
/// messages have no such name or type.
pub async fn otlp_decode(exports: &[RecordedRequest]) -> Vec<Value> {
    let export = |request: &RecordedRequest| json!({ "type": request.header("content-type"), "body": STANDARD.encode(&request.body) });
    let exports: Vec<_> = exports.iter().map(export).collect();
    let mut command = Command::new(installed(".venv-otlp/bin/python"));
    command.arg(tests_file("real/otlp_decode.py"));
    let output = run(command, Value::from(exports).to_string().as_bytes()).await;
    assert!(output.status.success(), "not OTLP: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
