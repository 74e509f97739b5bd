//! grpcio, the gRPC of Python on the C core, at both ends; and httpx, from the same environment.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::super::process::{Process, run};
use super::super::{Pki, assert_eventually};
use super::{installed, tests_file};

const PYTHON: &str = ".venv-grpc/bin/python";

/// A running server of `tests/real/grpc_server.py`.
pub struct GrpcServer {
    _process: Process,
    port: u16,
    tls: bool,
}

impl GrpcServer {
    pub async fn plain() -> Self {
        Self::start(None).await
    }

    /// With a certificate for `localhost`.
    pub async fn tls(pki: &Pki) -> Self {
        Self::start(Some(pki)).await
    }

    async fn start(pki: Option<&Pki>) -> Self {
        let mut command = python("grpc_server.py");
        if let Some(pki) = pki {
            let files = pki.server_files(&["localhost"]);
            command.arg(files.certificate).arg(files.key);
        }
        let mut process = Process::spawn("the gRPC server", &mut command);
        let port = |output: &str| output.split("port ").nth(1)?.split_whitespace().next()?.parse().ok();
        assert_eventually(Duration::from_secs(30), "the gRPC server listens", async || {
            assert!(process.exit_status().is_none(), "{}", process.output());
            port(&process.output()).is_some()
        })
        .await;
        let port = port(&process.output()).unwrap();
        Self { _process: process, port, tls: pki.is_some() }
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        if self.tls {
            format!("https://localhost:{}", self.port)
        } else {
            format!("http://{}", self.address())
        }
    }
}

/// The results of `tests/real/grpc_client.py` at this address.
pub async fn grpc_calls(address: &str, authorization: &str) -> Value {
    let mut command = python("grpc_client.py");
    command.args([address, authorization]);
    json(command).await
}

/// The results of `tests/real/httpx_calls.py`.
pub async fn httpx_calls(url: &str) -> Value {
    let mut command = python("httpx_calls.py");
    command.arg(url);
    json(command).await
}

fn python(script: &str) -> Command {
    let mut command = Command::new(installed(PYTHON));
    command.arg(tests_file(&format!("real/{script}")));
    for name in
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "grpc_proxy"]
    {
        command.env_remove(name);
    }
    command
}

async fn json(command: Command) -> Value {
    let output = run(command, b"").await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
