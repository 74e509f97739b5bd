//! `docs/AGENTS.md`: every command is run as written, with a server of the test in place of GitHub.

use std::process::Command;

use crate::harness::{MockUpstream, Pki, Tunnels, run, tool};

const PAGE: &str = include_str!("../../../docs/AGENTS.md");
const UPSTREAM: &str = "    upstream: https://api.github.com\n";

fn block(language: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[tokio::test]
async fn commands_of_the_page_print_what_it_says() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["api.github.com"])).await;
    let tunnels = Tunnels::to(upstream.address(), Tunnels::OPEN).await;
    let dir = tempfile::TempDir::with_prefix("sidekey-test-").unwrap();
    let config = block("yaml");
    assert!(config.contains(UPSTREAM));
    let here = format!(
        "{UPSTREAM}    proxy: {{ url: 'http://{}' }}\n    tls: {{ ca_file: '{}' }}\n",
        tunnels.address,
        pki.ca_file()
    );
    std::fs::write(dir.path().join("agent.yaml"), config.replace(UPSTREAM, &here)).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sidekey"), dir.path().join("sidekey")).unwrap();
    let mut lines = 0;
    for line in block("sh").lines() {
        let (command, expected) = line.rsplit_once('#').unwrap();
        let mut shell = Command::new(tool("bash"));
        shell.args(["-c", command]).current_dir(dir.path()).env("GITHUB_TOKEN", "CANARY-0123456789");
        let path = std::env::var("PATH").unwrap();
        shell.env("PATH", format!("{}:{path}", dir.path().display()));
        let output = run(shell, b"").await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said.trim(), expected.trim(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
        lines += 1;
    }
    assert_eq!(lines, 7);
    let requests = upstream.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.header("authorization"), Some("Bearer CANARY-0123456789"));
    }
}
