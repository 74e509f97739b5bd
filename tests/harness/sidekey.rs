//! The real program: started with a configuration, reached at its logged addresses, stopped when dropped.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Output};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::client::{Request, Response};
use super::process::{Process, run};
use super::{Connection, Terminal, assert_eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_sidekey");
/// Environment variables that would change the program's behaviour; they are removed.
const REMOVED_VARIABLES: [&str; 17] = [
    "RUST_LOG",
    "SIDEKEY_CONFIG",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_BSP_SCHEDULE_DELAY",
];
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The running program.
pub struct Sidekey {
    process: Process,
    dir: TempDir,
    listeners: Vec<Listener>,
}

#[derive(Debug)]
struct Listener {
    kind: String,
    address: String,
    service: Option<String>,
}

/// Configuration, environment and files for a start.
pub struct Builder {
    config: String,
    env: Vec<(String, String)>,
    arguments: Vec<String>,
    /// A shell script that starts the program, `"$0" "$@"`.
    launcher: Option<String>,
    dir: TempDir,
}

impl Sidekey {
    /// A Sidekey with these entries under `services`, JSON logs at level `debug`, and free ports.
    ///
    /// `$DIR` in a configuration is the folder that [`Builder::file`] writes to.
    pub fn serving(services: &str) -> Builder {
        Self::configured(&Self::configuration_serving(services))
    }

    /// The configuration of [`Sidekey::serving`].
    pub fn configuration_serving(services: &str) -> String {
        let mut config = String::from(
            "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: { level: debug, format: json }\naccess_log: true\nservices:\n",
        );
        for line in services.lines() {
            writeln!(config, "  {line}").unwrap();
        }
        config
    }

    /// A Sidekey with exactly this configuration. Logs must be JSON, because the listeners are read from
    /// them.
    pub fn configured(config: &str) -> Builder {
        let dir = TempDir::with_prefix("sidekey-test-").unwrap();
        Builder { config: config.into(), env: Vec::new(), arguments: Vec::new(), launcher: None, dir }
    }

    /// The URL of a path on the shared listener.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listener("proxy").address)
    }

    /// The address of the shared listener.
    pub fn address(&self) -> SocketAddr {
        self.listener("proxy").address.parse().unwrap()
    }

    /// The addresses of all shared listeners, in the order of the configuration.
    pub fn shared_addresses(&self) -> Vec<&str> {
        let shared =
            self.listeners.iter().filter(|listener| listener.kind == "proxy" && listener.service.is_none());
        shared.map(|listener| listener.address.as_str()).collect()
    }

    /// Opens a connection to the shared listener.
    pub async fn connect(&self) -> Connection {
        Connection::open(self.address()).await
    }

    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listener("admin").address)
    }

    /// The URL of a path on the own listener of a service.
    pub fn service_url(&self, service: &str, path: &str) -> String {
        let own = |listener: &&Listener| listener.service.as_deref() == Some(service);
        format!(
            "http://{}{path}",
            self.listeners.iter().find(own).expect("the service has its own listener").address
        )
    }

    pub async fn get(&self, path: &str) -> Response {
        Request::get(self.url(path)).send().await
    }

    /// Waits until `/readyz` responds 200.
    pub async fn ready(&self) {
        assert_eventually(START_TIMEOUT, "/readyz answers 200", async || self.is_ready().await).await;
    }

    pub async fn is_ready(&self) -> bool {
        Request::get(self.admin_url("/readyz")).send().await.status == 200
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> String {
        let response = Request::get(self.admin_url("/metrics")).send().await;
        assert_eq!(response.status, 200, "{}", response.text());
        response.text()
    }

    /// The sum of all series of that name whose labels include these; `None` if there are none.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let text = self.metrics().await;
        let series = text.lines().filter(|line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']));
            rest.is_some_and(|rest| labels.iter().all(|(k, v)| rest.contains(&format!("{k}=\"{v}\""))))
        });
        let values = series.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
        values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
    }

    /// Everything it has written so far.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// The log's events.
    pub fn events(&self) -> Vec<Value> {
        events(&self.log())
    }

    /// Waits until an event with this message is logged; returns the first one.
    pub async fn logged(&self, message: &str) -> Value {
        let found = || self.events().into_iter().find(|event| event["message"] == message);
        assert_eventually(START_TIMEOUT, &format!("{message:?} is logged"), async || found().is_some()).await;
        found().unwrap()
    }

    /// Like [`logged`](Self::logged), for a message that starts like this.
    pub async fn logged_like(&self, start: &str) -> Value {
        let is_it = |event: &Value| event["message"].as_str().is_some_and(|text| text.starts_with(start));
        let found = || self.events().into_iter().find(is_it);
        assert_eventually(START_TIMEOUT, &format!("{start:?}… is logged"), async || found().is_some()).await;
        found().unwrap()
    }

    /// Writes a file that the configuration names as `$DIR/…`, atomically.
    pub fn write(&self, name: &str, content: &str) {
        let new = self.dir.path().join(format!(".{name}.new"));
        write_private(&new, content);
        std::fs::rename(new, self.dir.path().join(name)).unwrap();
    }

    /// Replaces the configuration file.
    pub fn reconfigure(&self, config: &str) {
        self.write("sidekey.yaml", &config.replace("$DIR", self.dir.path().to_str().unwrap()));
    }

    /// Sends SIGHUP and waits for the reload; returns whether it succeeded.
    pub async fn reload(&self) -> bool {
        let count =
            async |result| self.metric("sidekey_config_reload_total", &[("result", result)]).await.unwrap();
        let (accepted, rejected) = (count("success").await, count("failure").await);
        self.signal(Signal::SIGHUP);
        assert_eventually(START_TIMEOUT, "the configuration is read", async || {
            count("success").await > accepted || count("failure").await > rejected
        })
        .await;
        count("success").await > accepted
    }

    /// The latest address of a service's own listener.
    pub fn newest_address_of(&self, service: &str) -> Option<SocketAddr> {
        let listeners = listeners(&self.log());
        let newest = listeners.iter().rev().find(|listener| listener.service.as_deref() == Some(service));
        newest.map(|listener| listener.address.parse().unwrap())
    }

    /// The folder `$DIR`.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the process to exit.
    pub async fn ended(&mut self) -> ExitStatus {
        self.process.ended(START_TIMEOUT).await
    }

    /// Sends SIGTERM, as an orchestrator does, and waits for the process to exit.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }

    /// Runs another command of the program to its end, with these environment variables.
    pub async fn command(arguments: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = binary();
        command.args(arguments).envs(env.iter().copied());
        run(command, b"").await
    }

    /// Runs another command of the program to its end, with this standard input.
    pub async fn command_with_input(arguments: &[&str], input: &[u8]) -> Output {
        let mut command = binary();
        command.args(arguments);
        run(command, input).await
    }

    /// Starts another command of the program at a terminal.
    pub fn at_terminal(arguments: &[&str], env: &[(&str, &str)]) -> Terminal {
        let mut command = binary();
        Terminal::spawn(command.args(arguments).envs(env.iter().copied()))
    }

    /// Starts another command of the program with these environment variables.
    pub fn spawn(arguments: &[&str], env: &[(&str, &str)]) -> Process {
        let mut command = binary();
        command.args(arguments).envs(env.iter().copied());
        Process::spawn(arguments[0], &mut command)
    }

    /// Starts another command of the program with the same configuration.
    pub fn spawn_command(&self, arguments: &[&str]) -> (Process, ChildStdin) {
        let mut command = binary();
        command.args(arguments).arg("--config").arg(self.dir.path().join("sidekey.yaml"));
        Process::spawn_interactive(arguments[0], &mut command)
    }

    fn listener(&self, kind: &str) -> &Listener {
        let found = self.listeners.iter().find(|listener| listener.kind == kind);
        found.unwrap_or_else(|| panic!("no listener of kind {kind} in {:?}", self.listeners))
    }
}

impl Builder {
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Adds a file that the configuration names as `$DIR/…`.
    pub fn file(self, name: &str, content: &str) -> Self {
        write_private(&self.dir.path().join(name), content);
        self
    }

    /// Adds an argument to `run`.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets the soft and the hard limit on open files.
    pub fn open_files(self, soft: u64, hard: u64) -> Self {
        self.launched_by(&format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec"))
    }

    /// Sets the limit on the size of files, in blocks of 512 bytes. A write beyond it fails, as on a full disk.
    pub fn file_size(self, blocks: u64) -> Self {
        self.launched_by(&format!("trap '' XFSZ && ulimit -f {blocks} && exec"))
    }

    /// Starts it by a shell command, whose last word is followed by the program: `ulimit -l 64 && exec`.
    pub fn launched_by(mut self, command: &str) -> Self {
        self.launcher = Some(format!("{command} \"$0\" \"$@\""));
        self
    }

    /// Sends its standard output to a file or a FIFO of `$DIR`.
    pub fn standard_output(mut self, name: &str) -> Self {
        let path = self.dir.path().join(name);
        self.launcher = Some(format!("exec \"$0\" \"$@\" > {}", path.display()));
        self
    }

    /// The folder `$DIR`.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Starts it with `hardening: none`, so that the user of the test can read its memory and its descriptors below `/proc`. Without
    /// that only root can.
    pub fn traceable(mut self) -> Self {
        self.config.insert_str(0, "hardening: none\n");
        self
    }

    /// Makes a file of [`Builder::file`] executable.
    pub fn executable(self, name: &str) -> Self {
        let mode = Permissions::from_mode(0o755);
        std::fs::set_permissions(self.dir.path().join(name), mode).unwrap();
        self
    }

    /// Starts the program and waits until it listens on every configured address.
    pub async fn start(self) -> Sidekey {
        let expected = expected_listeners(&self.config);
        let (mut process, dir) = self.spawn();
        assert_eventually(START_TIMEOUT, "it listens", async || {
            let ended = process.exit_status();
            assert!(ended.is_none(), "it ended at once: {}", ended.unwrap());
            listeners(&process.output()).len() >= expected
        })
        .await;
        let listeners = listeners(&process.output());
        Sidekey { process, dir, listeners }
    }

    /// Starts the program and waits until it is ready.
    pub async fn start_ready(self) -> Sidekey {
        let sidekey = self.start().await;
        sidekey.ready().await;
        sidekey
    }

    /// Expects the start to fail; returns the exit code and the output.
    pub async fn expect_start_failure(self) -> (i32, String) {
        let (mut process, _dir) = self.spawn();
        let status = process.ended(START_TIMEOUT).await;
        assert!(!process.output().is_empty(), "the output has the cause");
        (status.code().expect("an exit code, not a signal"), process.output())
    }

    fn spawn(self) -> (Process, TempDir) {
        let file = self.dir.path().join("sidekey.yaml");
        std::fs::write(&file, self.config.replace("$DIR", self.dir.path().to_str().unwrap())).unwrap();
        let mut command = match self.launcher {
            None => binary(),
            Some(launcher) => {
                let mut shell = clean(Command::new("sh"));
                shell.arg("-c").arg(launcher).arg(BINARY);
                shell
            }
        };
        command.arg("run").arg("--config").arg(file).args(self.arguments).envs(self.env);
        (Process::spawn("sidekey", &mut command), self.dir)
    }
}

fn binary() -> Command {
    clean(Command::new(BINARY))
}

fn clean(mut command: Command) -> Command {
    for name in REMOVED_VARIABLES {
        command.env_remove(name);
    }
    command
}

fn events(log: &str) -> Vec<Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn listeners(log: &str) -> Vec<Listener> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let listening = |event: &Value| event["message"] == "listening";
    let listener = |event: Value| {
        Some(Listener {
            kind: text(&event["listener.kind"])?,
            address: text(&event["listener.address"])?,
            service: text(&event["sidekey.service"]),
        })
    };
    events(log).into_iter().filter(listening).filter_map(listener).collect()
}

/// Number of configured addresses: shared ones, the admin listener's, and those of single services.
fn expected_listeners(config: &str) -> usize {
    let config: serde_yaml::Value = serde_yaml::from_str(config).expect("the test's own YAML");
    let count = |node: &serde_yaml::Value| match node.get("listen") {
        Some(serde_yaml::Value::Sequence(all)) => all.len(),
        Some(_) => 1,
        None => 0,
    };
    let services = config.get("services").and_then(serde_yaml::Value::as_mapping);
    let own: usize = services.map_or(0, |services| services.values().map(count).sum());
    count(&config).max(1) + 1 + own
}

/// Writes a file that only its owner can read, as secrets should be.
fn write_private(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}
