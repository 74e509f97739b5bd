//! curl, the client everybody has.

use std::process::Command;

use super::super::process::run;
use super::tool;

/// What came of one call.
#[derive(Debug)]
pub struct Curl {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Curl {
    /// Runs `curl ARGUMENTS`, with `input` for `--data-binary @-` or `-T -`. A failure of curl itself (such as a
    /// truncated body) is a failure of the test.
    pub async fn call(arguments: &[&str], input: &[u8]) -> Self {
        let mut command = Command::new(tool("curl"));
        command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "50"]);
        command.args(["--write-out", "\n%{http_code}"]).args(arguments);
        let output = run(command, input).await;
        assert!(output.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let end = output.stdout.iter().rposition(|&byte| byte == b'\n').unwrap();
        let status = String::from_utf8_lossy(&output.stdout[end + 1..]).parse().unwrap();
        Self { status, body: output.stdout[..end].to_vec() }
    }

    pub async fn get(url: &str) -> Self {
        Self::call(&[url], b"").await
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
