//! The sections for curl and for each language: every code block is run as written, except for the addresses,
//! and must print the response of Sidekey's upstream.

use std::path::Path;
use std::process::Command;

use super::document::blocks;
use crate::harness::{MockResponse, MockUpstream, Pki, Sidekey, installed, run, tool};
use crate::suite::ingress::setup::ca_for;

const NAMES: [&str; 3] = ["crm.example.com", "api.openai.com", "localhost"];
const CONTACTS: &str = r#"[{"name": "Ada"}]"#;
const MODELS: &str =
    r#"{"object": "list", "data": [{"id": "gpt-x", "object": "model", "created": 1, "owned_by": "x"}]}"#;

/// The environment that the document describes, on this machine.
struct Stage {
    pki: Pki,
    upstream: MockUpstream,
    sidekey: Sidekey,
}

impl Stage {
    async fn set() -> Self {
        let pki = Pki::new();
        let upstream = MockUpstream::tls_with(pki.server(&NAMES)).await;
        upstream.respond_with(|request| {
            let body = match request.target.as_str() {
                "/v2/contacts" => CONTACTS,
                "/v1/models" => MODELS,
                _ => return MockResponse::status(404),
            };
            if request.header("authorization") != Some("Bearer t0ken") {
                return MockResponse::status(401);
            }
            MockResponse::ok(body).header("Content-Type", "application/json")
        });
        let (cert, key) = ca_for(NAMES[0]).await;
        let files = pki.server_files(&["localhost"]);
        let (port, ca) = (upstream.address().port(), pki.ca_file());
        let config = format!(
            "listen:
- 127.0.0.1:0
- {{ address: 127.0.0.1:0, tls: {{ cert_file: '{}', key_file: '{}' }} }}
- unix:$DIR/shared.sock
admin: 127.0.0.1:0
log: {{ level: debug, format: json }}
intercept: {{ ca_cert_file: $DIR/ca.crt, ca_key_file: $DIR/ca.key }}
credentials: {{ one: {{ type: bearer, token: t0ken }} }}
services:
  crm:
    upstream: https://crm.example.com:{port}/v2
    resolve: 127.0.0.1
    hosts: [crm.internal]
    listen: 127.0.0.1:0
    tls: {{ ca_file: '{ca}' }}
    auth: {{ use: one }}
  openai:
    upstream: https://api.openai.com:{port}/v1
    resolve: 127.0.0.1
    tls: {{ ca_file: '{ca}' }}
    auth: {{ use: one }}
",
            files.certificate.display(),
            files.key.display()
        );
        let sidekey = Sidekey::configured(&config).file("ca.crt", &cert).file("ca.key", &key).start().await;
        Self { pki, upstream, sidekey }
    }

    /// Replaces the document's addresses and files with those of this test.
    fn here(&self, text: &str) -> String {
        let address = |url: String| url.trim_start_matches("http://").to_owned();
        let shared = address(self.sidekey.url(""));
        let port = shared.rsplit(':').next().unwrap().to_owned();
        let tls = self.sidekey.shared_addresses()[1].rsplit(':').next().unwrap();
        let file = |name: &str| self.sidekey.dir().join(name).to_str().unwrap().to_owned();
        text.replace("127.0.0.1:8080", &shared)
            .replace("127.0.0.1:8081", &address(self.sidekey.service_url("crm", "")))
            .replace("\"127.0.0.1\", 8080", &format!("\"127.0.0.1\", {port}"))
            .replace("proxyPort=8080", &format!("proxyPort={port}"))
            .replace("sidekey.internal:8443", &format!("localhost:{tls}"))
            .replace("/run/sidekey.sock", &file("shared.sock"))
            .replace("/etc/sidekey/tls-ca.crt", &self.pki.ca_file())
            .replace("/etc/sidekey/sidekey-ca.crt", &file("ca.crt"))
            .replace("/etc/sidekey/trust.p12", &file("trust.p12"))
            .replace(
                "https://crm.example.com/",
                &format!("https://crm.example.com:{}/", self.upstream.address().port()),
            )
    }

    /// Runs one program; the number of requests must equal the number of paths in it.
    async fn run(&self, language: &str, code: &str) {
        let settings =
            code.lines().next().and_then(|line| line.split_once(" with ")).map_or("", |(_, rest)| rest);
        let settings = self.here(settings);
        let settings: Vec<&str> = settings.split(' ').filter(|part| !part.is_empty()).collect();
        let dir = tempfile::tempdir().unwrap();
        let mut command = command(language, dir.path(), &self.here(code), &settings).await;
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.envs(
            settings.iter().filter(|part| !part.starts_with('-')).map(|part| part.split_once('=').unwrap()),
        );
        let before = self.upstream.request_count();
        let output = run(command, b"").await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{code}\n{said}{}", String::from_utf8_lossy(&output.stderr));
        let calls = code.matches("contacts\"").count()
            + code.matches("/contacts\n").count()
            + code.matches("models.list()").count();
        // A loop has its path once, and its base URLs separately.
        let calls = calls + code.matches("[\"http://127.0.0.1:8080/crm\", ").count();
        assert_eq!(self.upstream.request_count() - before, calls, "{code}\n{said}");
        assert_eq!(said.matches("Ada").count() + said.matches("gpt-x").count(), calls, "{code}\n{said}");
    }
}

async fn command(language: &str, dir: &Path, code: &str, settings: &[&str]) -> Command {
    let file = |name: &str| {
        let file = dir.join(name);
        std::fs::write(&file, code).unwrap();
        file
    };
    let mut command = match language {
        "sh" => {
            let mut command = Command::new(tool("bash"));
            command.args(["-euo", "pipefail", "-c", code]).env("CURL_HOME", dir);
            command
        }
        "python" => {
            let mut command = Command::new(installed(".venv-clients/bin/python"));
            command.arg(file("contacts.py"));
            command
        }
        "js" => {
            installed("node_modules/undici");
            std::os::unix::fs::symlink(installed("node_modules"), dir.join("node_modules")).unwrap();
            let mut command = Command::new(tool("node"));
            command.arg(file("contacts.mjs"));
            command
        }
        "java" => {
            let mut command = Command::new(tool("java"));
            command.args(settings.iter().filter(|part| part.starts_with("-D"))).arg(file("Contacts.java"));
            command
        }
        "go" => {
            let mut build = Command::new(tool("go"));
            build.env("GO111MODULE", "off").env("GOCACHE", dir.join("cache")).env("GOFLAGS", "");
            build.args(["build", "-o"]).arg(dir.join("contacts")).arg(file("contacts.go"));
            let output = run(build, b"").await;
            assert!(output.status.success(), "{code}\n{}", String::from_utf8_lossy(&output.stderr));
            Command::new(dir.join("contacts"))
        }
        other => panic!("no runner for {other}"),
    };
    command.current_dir(dir);
    command
}

async fn section(name: &str, expected: usize) {
    let stage = Stage::set().await;
    let blocks = blocks(name);
    assert_eq!(blocks.len(), expected);
    for (language, code) in blocks {
        // A shell block is run line by line, so that a failure names the command.
        if language == "sh" {
            for line in code.lines() {
                stage.run(language, &format!("{line}\n")).await;
            }
        } else {
            stage.run(language, code).await;
        }
    }
}

#[tokio::test]
async fn documented_curl_commands_work() {
    section("curl", 1).await;
}

#[tokio::test]
async fn documented_python_code_works() {
    section("Python", 5).await;
}

#[tokio::test]
async fn documented_node_code_works() {
    section("Node", 4).await;
}

#[tokio::test]
async fn documented_java_code_works() {
    section("Java", 5).await;
}

#[tokio::test]
async fn documented_go_code_works() {
    section("Go", 2).await;
}
