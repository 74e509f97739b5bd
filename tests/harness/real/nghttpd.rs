//! nghttpd, the HTTP/2 server of nghttp2.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::super::process::Process;
use super::super::{CertificateFiles, assert_eventually, port};
use super::tool;

/// A running nghttpd that serves files.
pub struct Nghttpd {
    process: Process,
    _dir: TempDir,
    port: u16,
}

impl Nghttpd {
    /// A server with this file under `/file` and these options; without a certificate it uses prior
    /// knowledge.
    pub async fn start(file: &[u8], tls: Option<&CertificateFiles>, options: &[&str]) -> Self {
        let dir = TempDir::with_prefix("sidekey-nghttpd-").unwrap();
        std::fs::write(dir.path().join("file"), file).unwrap();
        for _ in 0..5 {
            let port = port::free();
            let mut process = spawn(dir.path(), port, tls, options);
            let mut listens = false;
            assert_eventually(Duration::from_secs(20), "nghttpd listens", async || {
                listens =
                    process.output().contains("listen 127.0.0.1") || process.output().contains("listening");
                listens = listens || TcpStream::connect(("127.0.0.1", port)).await.is_ok();
                listens || process.exit_status().is_some()
            })
            .await;
            if listens && process.exit_status().is_none() {
                return Self { process, _dir: dir, port };
            }
        }
        panic!("nghttpd finds no free port");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its output: every frame.
    pub fn log(&self) -> String {
        self.process.output()
    }
}

fn spawn(dir: &Path, port: u16, tls: Option<&CertificateFiles>, options: &[&str]) -> Process {
    let mut command = Command::new(tool("nghttpd"));
    command.args(["--verbose", "--address", "127.0.0.1", "--htdocs"]).arg(dir).args(options);
    if tls.is_none() {
        command.arg("--no-tls");
    }
    command.arg(port.to_string());
    if let Some(files) = tls {
        command.arg(&files.key).arg(&files.certificate);
    }
    Process::spawn("nghttpd", &mut command)
}
