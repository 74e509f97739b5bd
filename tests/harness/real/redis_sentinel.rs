//! A primary with a replica, and three sentinels that watch over them.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::super::process::{Process, run};
use super::super::{Pki, assert_eventually, port};
use super::redis::{Redis, StoreServer, tls_of_cli, tls_options};
use super::tool;

const WAIT: Duration = Duration::from_secs(60);
/// The name of the primary.
const MASTER: &str = "main";
/// The password of the store, and that of the sentinels.
const PASSWORDS: (&str, &str) = ("pa55-of-the-store-CANARY", "pa55-of-the-sentinels-CANARY");

/// The servers.
pub struct RedisSentinels {
    /// The first one is the primary at first.
    pub servers: Vec<Redis>,
    sentinels: Vec<Sentinel>,
    cli: Vec<String>,
    ca_file: Option<String>,
}

struct Sentinel {
    process: Process,
    port: u16,
    _dir: TempDir,
}

impl RedisSentinels {
    /// Starts all of them, with passwords, and waits until they know each other. A primary that does not answer for a second is
    /// replaced.
    pub async fn start(software: StoreServer, pki: Option<&Pki>) -> Self {
        let (password, of_sentinels) = PASSWORDS;
        let tls = if pki.is_some() { "yes" } else { "no" };
        let options = [
            "--requirepass",
            password,
            "--masterauth",
            password,
            "--tls-replication",
            tls,
            "--repl-diskless-sync-delay",
            "0",
        ];
        let mut primary = Redis::start_as(software, &options, pki).await;
        primary.log_in(password);
        let port = primary.port.to_string();
        let of_replica = [&options[..], &["--replicaof", "127.0.0.1", &port]].concat();
        let mut replica = Redis::start_as(software, &of_replica, pki).await;
        replica.log_in(password);
        assert_eventually(WAIT, "the replica has a copy", async || {
            replica.info("master_link_status").await.as_deref() == Some("up")
        })
        .await;
        let mut sentinels = Vec::new();
        while sentinels.len() < 3 {
            sentinels.extend(Sentinel::start(software, &port, pki).await);
        }
        let cli = [
            pki.map(tls_of_cli).unwrap_or_default(),
            ["-a", of_sentinels, "--no-auth-warning"].map(str::to_owned).to_vec(),
        ];
        let ca_file = pki.map(Pki::ca_file);
        let all = Self { servers: vec![primary, replica], sentinels, cli: cli.concat(), ca_file };
        for sentinel in 0..3 {
            assert_eventually(WAIT, "the sentinels know each other and the replica", async || {
                let known = all.cli(sentinel, &["SENTINEL", "MASTER", MASTER]).await;
                let field =
                    |name: &str| known.lines().skip_while(|line| *line != name).nth(1).map(str::to_owned);
                (field("num-slaves").as_deref(), field("num-other-sentinels").as_deref())
                    == (Some("1"), Some("2"))
            })
            .await;
        }
        all
    }

    /// The section `shared`, with this key.
    pub fn shared(&self, key: &str) -> String {
        let scheme = if self.ca_file.is_some() { "rediss" } else { "redis" };
        let urls: Vec<_> = self
            .sentinels
            .iter()
            .map(|sentinel| format!("'{scheme}://127.0.0.1:{}'", sentinel.port))
            .collect();
        let tls =
            self.ca_file.as_ref().map(|file| format!(", tls: {{ ca_file: {file} }}")).unwrap_or_default();
        format!(
            "shared: {{ url: [{}], sentinel: {{ master: {MASTER}, password: {} }}, password: {}, key: {key}, timeout: 1s{tls} }}",
            urls.join(", "),
            PASSWORDS.1,
            PASSWORDS.0
        )
    }

    /// Waits until this server is the primary, for all sentinels and for itself.
    pub async fn is_primary(&self, index: usize) {
        let port = self.servers[index].port.to_string();
        for sentinel in 0..self.sentinels.len() {
            assert_eventually(WAIT, "the sentinels have another primary", async || {
                let address = self.cli(sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]).await;
                address.lines().nth(1) == Some(&port)
            })
            .await;
        }
        assert_eventually(WAIT, "the replica is the primary", async || {
            self.servers[index].info("role").await.as_deref() == Some("master")
        })
        .await;
    }

    /// Lets a sentinel not answer any more, or answer again.
    pub fn freeze_sentinel(&self, index: usize, is_frozen: bool) {
        use nix::sys::signal::Signal;
        self.sentinels[index].process.signal(if is_frozen { Signal::SIGSTOP } else { Signal::SIGCONT });
    }

    /// Runs a command at each sentinel.
    pub async fn at_sentinels(&self, arguments: &[&str]) {
        for sentinel in 0..self.sentinels.len() {
            assert_eq!(self.cli(sentinel, arguments).await.trim(), "OK", "{arguments:?}");
        }
    }

    async fn cli(&self, sentinel: usize, arguments: &[&str]) -> String {
        let mut command = Command::new(tool("redis-cli"));
        command.args(["-h", "127.0.0.1", "-p", &self.sentinels[sentinel].port.to_string()]).args(&self.cli);
        command.args(arguments);
        String::from_utf8_lossy(&run(command, b"").await.stdout).into_owned()
    }
}

impl Sentinel {
    /// Starts one, unless its port is not free.
    async fn start(software: StoreServer, primary: &str, pki: Option<&Pki>) -> Option<Self> {
        let (password, of_sentinels) = PASSWORDS;
        let dir = TempDir::with_prefix("sidekey-sentinel-").unwrap();
        let port = port::free();
        let ports = match pki {
            None => format!("port {port}\n"),
            Some(pki) => {
                let options = tls_options(pki).join(" ").replace(" --", "\n").replace("--", "");
                format!("port 0\ntls-port {port}\ntls-replication yes\n{options}\n")
            }
        };
        let file = dir.path().join("sentinel.conf");
        let text = format!(
            "{ports}bind 127.0.0.1\ndir {}\nrequirepass {of_sentinels}\nsentinel sentinel-pass {of_sentinels}\n\
             sentinel monitor {MASTER} 127.0.0.1 {primary} 2\nsentinel auth-pass {MASTER} {password}\n\
             sentinel down-after-milliseconds {MASTER} 1000\nsentinel failover-timeout {MASTER} 5000\n",
            dir.path().display()
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(software.program());
        command.arg(&file).arg("--sentinel");
        let mut process = Process::spawn("redis-sentinel", &mut command);
        let mut is_ready = false;
        assert_eventually(WAIT, "the sentinel runs", async || {
            is_ready = process.output().contains("+monitor");
            is_ready || process.exit_status().is_some()
        })
        .await;
        is_ready.then_some(Self { process, port, _dir: dir })
    }
}
