//! The registry for container images (docker-registry), with basic authentication.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::super::process::{Process, run};
use super::super::{Pki, assert_eventually, port};
use super::tool;

/// `pusher` with the password `pa55`, as `htpasswd -B` writes it: the registry accepts bcrypt only.
const USERS: &str = "pusher:$2b$04$Wd4jZyqbsvvF40vgYiyLOeIXwW3Cg7VhfrmPSOgQtMvSvXyHQbWXe\n";

const CONFIG: &str = "
version: 0.1
log: { level: info }
storage: { filesystem: { rootdirectory: $DIR/data } }
http:
  addr: 127.0.0.1:$PORT
  secret: s3cret
  tls: { certificate: $CERTIFICATE, key: $KEY }
auth: { htpasswd: { realm: registry, path: $DIR/users } }
";

/// A running registry that serves HTTPS for `registry.example.com` and `localhost` on 127.0.0.1.
pub struct DockerRegistry {
    process: Process,
    dir: TempDir,
    pub port: u16,
}

impl DockerRegistry {
    pub async fn start(pki: &Pki) -> Self {
        let dir = TempDir::with_prefix("sidekey-registry-").unwrap();
        std::fs::write(dir.path().join("users"), USERS).unwrap();
        let files = pki.server_files(&["registry.example.com", "localhost"]);
        let config = CONFIG
            .replace("$CERTIFICATE", files.certificate.to_str().unwrap())
            .replace("$KEY", files.key.to_str().unwrap())
            .replace("$DIR", dir.path().to_str().unwrap());
        for _ in 0..5 {
            let port = port::free();
            let file = dir.path().join("config.yml");
            std::fs::write(&file, config.replace("$PORT", &port.to_string())).unwrap();
            let mut command = Command::new(tool("docker-registry"));
            command.arg("serve").arg(&file).env("OTEL_TRACES_EXPORTER", "none");
            let mut process = Process::spawn("docker-registry", &mut command);
            if listens(&mut process, pki, port).await {
                return Self { process, dir, port };
            }
            let output = process.output();
            assert!(output.contains("address already in use"), "docker-registry does not start: {output}");
        }
        panic!("docker-registry finds no free port");
    }

    /// Its output.
    pub fn log(&self) -> String {
        self.process.output()
    }
}

/// Waits until the registry demands a credential; false once the process has ended instead.
async fn listens(process: &mut Process, pki: &Pki, port: u16) -> bool {
    let mut alive = false;
    assert_eventually(Duration::from_secs(20), "docker-registry answers", async || {
        let mut probe = Command::new(tool("curl"));
        probe.args(["--silent", "--noproxy", "*", "--cacert", &pki.ca_file()]);
        probe.args(["--write-out", "%{http_code}", "--output", "/dev/null"]);
        probe.arg(format!("https://localhost:{port}/v2/"));
        alive = process.output().contains("listening on") && run(probe, b"").await.stdout == b"401";
        alive || process.exit_status().is_some()
    })
    .await;
    alive
}
