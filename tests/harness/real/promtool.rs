//! promtool, Prometheus' own check of a metrics page.

use std::process::Command;

use super::super::process::run;
use super::tool;

/// Fails if `promtool check metrics` reports anything.
pub async fn promtool_check_metrics(page: &str) {
    let mut command = Command::new(tool("promtool"));
    command.args(["check", "metrics"]);
    let output = run(command, page.as_bytes()).await;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.trim().is_empty(), "promtool: {said}\n{page}");
}
