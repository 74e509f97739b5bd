//! Caddy as an upstream that speaks HTTP/1.1 and HTTP/2 by ALPN.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::super::process::Process;
use super::super::{Pki, port};
use super::probe::answers;
use super::tool;

const MAIN: &str = "
{
    admin off
    auto_https off
    storage file_system $DIR/storage
    servers {
        protocols h1 h2
    }
}
https://localhost:$PORT {
    bind 127.0.0.1
    tls $CERTIFICATE $KEY
    route {
        respond /.harness/$NONCE 204
$ROUTE
    }
}
";

/// A running Caddy that serves HTTPS on `https://localhost:PORT`.
pub struct Caddy {
    process: Process,
    _dir: TempDir,
    port: u16,
}

impl Caddy {
    /// A server with these directives in `route { … }`; `$DIR` is its folder, which `prepare` may fill
    /// beforehand.
    pub async fn https(pki: &Pki, route: &str, prepare: impl FnOnce(&Path)) -> Self {
        let dir = TempDir::with_prefix("sidekey-caddy-").unwrap();
        prepare(dir.path());
        let files = pki.server_files(&["localhost", "127.0.0.1"]);
        let config = MAIN
            .replace("$ROUTE", route)
            .replace("$CERTIFICATE", files.certificate.to_str().unwrap())
            .replace("$KEY", files.key.to_str().unwrap())
            .replace("$DIR", dir.path().to_str().unwrap());
        for _ in 0..5 {
            let (port, nonce) = (port::free(), format!("{:x}", fastrand::u64(..)));
            let config = config.replace("$PORT", &port.to_string()).replace("$NONCE", &nonce);
            std::fs::write(dir.path().join("Caddyfile"), config).unwrap();
            let mut process = spawn(dir.path());
            if answers("Caddy", &mut process, pki, port, &nonce).await {
                return Self { process, _dir: dir, port };
            }
            let output = process.output();
            assert!(output.contains("address already in use"), "Caddy does not start: {output}");
        }
        panic!("Caddy finds no free port");
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Its output on standard error.
    pub fn log(&self) -> String {
        self.process.output()
    }
}

fn spawn(dir: &Path) -> Process {
    let mut command = Command::new(tool("caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(dir.join("Caddyfile"));
    // It keeps its state below the home folder by default.
    command.env("HOME", dir).env("XDG_DATA_HOME", dir).env("XDG_CONFIG_HOME", dir).current_dir(dir);
    Process::spawn("caddy", &mut command)
}
