//! Checks that a server that does not support "port 0" is the one that responds on its port.

use std::process::Command;
use std::time::Duration;

use super::super::process::{Process, run};
use super::super::{Pki, assert_eventually};
use super::tool;

/// Waits until `https://localhost:PORT/.harness/NONCE` answers 204; false once the process has ended instead.
pub async fn answers(what: &str, process: &mut Process, pki: &Pki, port: u16, nonce: &str) -> bool {
    let mut alive = false;
    assert_eventually(Duration::from_secs(20), &format!("{what} answers"), async || {
        let url = format!("https://localhost:{port}/.harness/{nonce}");
        let mut probe = Command::new(tool("curl"));
        probe.args(["--silent", "--noproxy", "*", "--cacert", &pki.ca_file()]);
        probe.args(["--write-out", "%{http_code}", &url]);
        alive = run(probe, b"").await.stdout == b"204";
        alive || process.exit_status().is_some()
    })
    .await;
    alive
}
