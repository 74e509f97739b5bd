//! nginx as an upstream that checks credentials.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::super::process::{Process, run};
use super::super::{Pki, port};
use super::probe::answers;
use super::tool;

const MAIN: &str = "
daemon off;
master_process off;
pid $DIR/nginx.pid;
error_log stderr notice;
events {}
http {
    access_log $DIR/access.log;
    client_body_temp_path $DIR/client_body;
    proxy_temp_path $DIR/proxy;
    fastcgi_temp_path $DIR/fastcgi;
    uwsgi_temp_path $DIR/uwsgi;
    scgi_temp_path $DIR/scgi;
    client_max_body_size 64m;
$HTTP
    server {
        listen 127.0.0.1:$PORT ssl$HTTP2;
        server_name localhost;
        ssl_certificate $CERTIFICATE;
        ssl_certificate_key $KEY;
        location = /.harness/$NONCE { return 204; }
$SERVER
    }
}
";

/// A running nginx that serves HTTPS on `https://localhost:PORT`.
pub struct Nginx {
    process: Process,
    dir: TempDir,
    port: u16,
}

impl Nginx {
    /// A server with these directives in `http { … }` and in `server { … }`; `$DIR` is its folder, which
    /// `prepare` may fill beforehand.
    pub async fn https(pki: &Pki, http: &str, server: &str, prepare: impl AsyncFnOnce(&Path)) -> Self {
        Self::start(pki, "", http, server, prepare).await
    }

    /// Like [`https`](Self::https), with HTTP/2 offered by ALPN.
    pub async fn https_and_http2(
        pki: &Pki,
        http: &str,
        server: &str,
        prepare: impl AsyncFnOnce(&Path),
    ) -> Self {
        Self::start(pki, " http2", http, server, prepare).await
    }

    async fn start(
        pki: &Pki,
        http2: &str,
        http: &str,
        server: &str,
        prepare: impl AsyncFnOnce(&Path),
    ) -> Self {
        let dir = TempDir::with_prefix("sidekey-nginx-").unwrap();
        prepare(dir.path()).await;
        let files = pki.server_files(&["localhost", "127.0.0.1"]);
        let config = MAIN
            .replace("$HTTP2", http2)
            .replace("$HTTP", http)
            .replace("$SERVER", server)
            .replace("$CERTIFICATE", files.certificate.to_str().unwrap())
            .replace("$KEY", files.key.to_str().unwrap())
            .replace("$DIR", dir.path().to_str().unwrap());
        for _ in 0..5 {
            let (port, nonce) = (port::free(), format!("{:x}", fastrand::u64(..)));
            let config = config.replace("$PORT", &port.to_string()).replace("$NONCE", &nonce);
            std::fs::write(dir.path().join("nginx.conf"), config).unwrap();
            let mut process = spawn(dir.path());
            if answers("nginx", &mut process, pki, port, &nonce).await {
                return Self { process, dir, port };
            }
            let output = process.output();
            assert!(output.contains("Address already in use"), "nginx does not start: {output}");
        }
        panic!("nginx finds no free port");
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// The folder `$DIR`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its output on standard error.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// The lines of its access log.
    pub fn access_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("access.log")).unwrap_or_default()
    }

    /// A line of a password file, made by `openssl passwd`.
    pub async fn htpasswd(user: &str, password: &str) -> String {
        let mut command = Command::new(tool("openssl"));
        command.args(["passwd", "-apr1", "-stdin"]);
        let output = run(command, password.as_bytes()).await;
        assert!(output.status.success(), "openssl passwd: {}", String::from_utf8_lossy(&output.stderr));
        format!("{user}:{}", String::from_utf8(output.stdout).unwrap())
    }
}

fn spawn(dir: &Path) -> Process {
    let mut command = Command::new(tool("nginx"));
    command.args(["-e", "stderr", "-p"]).arg(dir).arg("-c").arg(dir.join("nginx.conf"));
    Process::spawn("nginx", &mut command)
}
