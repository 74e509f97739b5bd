//! HTTP clients that apps use, and an API on aiohttp as their server.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::process::{Process, run};
use super::super::{Pki, assert_eventually};
use super::{installed, tests_file, tool};

/// An app's configuration: its base URL and its environment.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub base: String,
    /// The credential, if the app has its own.
    pub authorization: Option<String>,
    pub proxy: Option<String>,
    /// The CA it trusts, in a PEM file.
    pub ca: Option<String>,
    /// A `Host` that is not the URL's.
    pub host: Option<String>,
    /// The Unix socket for all requests.
    pub socket: Option<String>,
}

impl Settings {
    /// Sets an app's environment; proxies of the developer's environment are removed.
    pub(super) fn environment(&self, command: &mut Command) {
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        if let Some(proxy) = &self.proxy {
            for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
                command.env(name, proxy).env(name.to_lowercase(), proxy);
            }
        }
        if let Some(ca) = &self.ca {
            for name in ["REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"] {
                command.env(name, ca);
            }
        }
    }
}

/// The results of requests, httpx, aiohttp and websockets, by the client's name.
pub async fn python_clients(settings: &Settings) -> Value {
    let mut command = Command::new(installed(".venv-clients/bin/python"));
    command.arg(tests_file("real/python_clients.py"));
    call(command, settings).await
}

/// The results of Node's fetch and of undici, by the client's name.
pub async fn node_clients(settings: &Settings) -> Value {
    installed("node_modules/undici");
    let mut command = Command::new(tool("node"));
    command.arg(tests_file("real/node_clients.mjs"));
    call(command, settings).await
}

/// The result of a WebSocket that Node's HTTP/2 client opened at this origin.
pub async fn http2_websocket(origin: &str, path: &str) -> Value {
    let mut command = Command::new(tool("node"));
    command.arg(tests_file("real/http2_websocket.mjs")).arg(origin).arg(path);
    let output = run(command, b"").await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn call(mut command: Command, settings: &Settings) -> Value {
    settings.environment(&mut command);
    let ws = format!("{}/ws", settings.base.replacen("http", "ws", 1));
    let task = json!({ "base": settings.base, "ws": ws, "authorization": settings.authorization });
    let what = format!("{command:?}");
    let output = run(command, task.to_string().as_bytes()).await;
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// An API on aiohttp, over TLS, for `localhost` and `crm.example.com`, under `/v2`; it accepts the bearer
/// token `t0ken` only.
pub struct AiohttpApi {
    process: Process,
    pub port: u64,
}

impl AiohttpApi {
    pub async fn start(pki: &Pki) -> Self {
        let files = pki.server_files(&["localhost", "crm.example.com"]);
        let mut command = Command::new(installed(".venv-clients/bin/python"));
        command.arg(tests_file("real/aiohttp_upstream.py"));
        command.env("CERTIFICATE", files.certificate).env("KEY", files.key);
        let mut process = Process::spawn("aiohttp", &mut command);
        let port = |process: &Process| {
            let output = process.output();
            let line = output.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
            line.and_then(|line| line["port"].as_u64())
        };
        assert_eventually(Duration::from_secs(30), "aiohttp listens", async || {
            assert!(process.exit_status().is_none(), "aiohttp ended: {}", process.output());
            port(&process).is_some()
        })
        .await;
        let port = port(&process).unwrap();
        Self { process, port }
    }
}
