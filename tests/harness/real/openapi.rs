//! Validation of an OpenAPI document, and of responses that it describes.

use std::process::Command;

use serde_json::Value;

use super::super::process::run;
use super::{installed, tests_file, tool};

/// Fails if the document is not valid OpenAPI, or if it does not describe a response. A response has `path`
/// as in the document, `method`, `status`, `type` and `body`.
pub async fn openapi_holds(document: &Value, answers: &[Value]) {
    installed("node_modules/@seriousme/openapi-schema-validator");
    let mut command = Command::new(tool("node"));
    command.arg(tests_file("real/openapi.mjs"));
    let asked = serde_json::json!({ "document": document, "answers": answers });
    let output = run(command, asked.to_string().as_bytes()).await;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
