//! The proxies that are compared: each started with one worker thread on the first core, doing the same job, which is to
//! write `Authorization` over whatever the caller sent there, with connections kept alive on both sides.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::authorization;

/// What can be compared, Sidekey first.
pub const ALL: [&str; 7] = ["sidekey", "nginx", "haproxy", "envoy", "caddy", "pingora", "hyper"];

/// The core of every proxy; load and upstream have the other.
const CORE: &str = "0";

/// Where everything is.
pub struct World {
    pub dir: PathBuf,
    pub sidekey: PathBuf,
    pub envoy: PathBuf,
    pub plain: SocketAddr,
    pub tls: SocketAddr,
}

impl World {
    fn ca_file(&self) -> String {
        self.dir.join("ca.pem").display().to_string()
    }

    fn write(&self, name: &str, content: &str) -> anyhow::Result<String> {
        let path = self.dir.join(name);
        std::fs::write(&path, content)?;
        Ok(path.display().to_string())
    }
}

/// A process that ends with the run.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; what it says goes to a file beside its configuration.
    pub fn start(command: &mut Command, dir: &Path) -> anyhow::Result<Self> {
        let name = command.get_args().chain([command.get_program()]).last().unwrap_or_default();
        let log = dir.join(format!("{}.log", name.to_string_lossy().replace('/', "_")));
        let file = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, log })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let id = Pid::from_raw(self.child.id().cast_signed());
        let deadline = Instant::now() + Duration::from_secs(5);
        let _ = kill(id, Signal::SIGTERM);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// What leads to an upstream of one kind.
pub struct Target {
    /// Of the process that serves it.
    pub process: u32,
    pub address: SocketAddr,
    /// Put before every path.
    pub prefix: &'static str,
}

/// A proxy, running.
pub struct Proxy {
    pub name: String,
    pub version: String,
    pub plain: Target,
    pub tls: Target,
    /// Sidekey's service with a token.
    pub oauth2: Option<Target>,
    processes: Vec<Process>,
}

impl Proxy {
    /// What its processes wrote.
    pub fn said(&self) -> String {
        let read = |process: &Process| std::fs::read_to_string(&process.log).unwrap_or_default();
        self.processes.iter().map(read).collect()
    }
}

/// Starts the proxy of that name.
pub fn start(name: &str, world: &World) -> anyhow::Result<Proxy> {
    let (plain, tls) = (free_address()?, free_address()?);
    let commands = match name {
        "sidekey" => vec![sidekey(world, plain)?],
        "nginx" => vec![nginx(world, plain, tls)?],
        "haproxy" => vec![haproxy(world, plain, tls)?],
        "caddy" => vec![caddy(world, plain, tls)?],
        "envoy" => vec![envoy(world, plain, tls)?],
        "pingora" | "hyper" => {
            vec![own(name, plain, world.plain, None)?, own(name, tls, world.tls, Some(world.ca_file()))?]
        }
        _ => bail!("there is no proxy {name:?}; there are {}", ALL.join(", ")),
    };
    let processes = commands
        .into_iter()
        .map(|mut command| Process::start(&mut command, &world.dir))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let (first, last) = (processes[0].id(), processes[processes.len() - 1].id());
    let target = |process, address, prefix| Target { process, address, prefix };
    let is_sidekey = name == "sidekey";
    Ok(Proxy {
        name: name.to_owned(),
        version: version(name, world)?,
        plain: target(first, plain, if is_sidekey { "/plain" } else { "" }),
        tls: if is_sidekey { target(first, plain, "/tls") } else { target(last, tls, "") },
        oauth2: is_sidekey.then(|| target(first, plain, "/oauth2")),
        processes,
    })
}

/// An address on loopback that nobody uses at this moment.
pub fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

fn pinned(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", CORE]).arg(program.as_ref());
    command
}

fn sidekey(world: &World, listen: SocketAddr) -> anyhow::Result<Command> {
    let mut command = pinned(&world.sidekey);
    command.args(["run", "--config", &sidekey_config(world, listen)?]);
    Ok(command)
}

/// Writes Sidekey's configuration; returns where.
pub fn sidekey_config(world: &World, listen: SocketAddr) -> anyhow::Result<String> {
    let token = authorization().trim_start_matches("Bearer ");
    let config = format!(
        r"
listen: {listen}
admin: {admin}
threads: 1
services:
  plain:
    upstream: http://{plain}
    auth: {{ type: bearer, token: {token} }}
  tls:
    upstream: https://{tls}
    auth: {{ type: bearer, token: {token} }}
    tls: {{ ca_file: {ca}, server_name: localhost }}
  oauth2:
    upstream: http://{plain}
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: http://{plain}/token
      client_id: bench
      client_secret: bench
",
        admin = free_address()?,
        plain = world.plain,
        tls = world.tls,
        ca = world.ca_file(),
    );
    world.write("sidekey.yaml", &config)
}

fn nginx(world: &World, plain: SocketAddr, tls: SocketAddr) -> anyhow::Result<Command> {
    let config = format!(
        r#"
daemon off;
worker_processes 1;
error_log stderr crit;
pid {dir}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {dir}/nginx-body;
  proxy_temp_path {dir}/nginx-proxy;
  fastcgi_temp_path {dir}/nginx-fastcgi;
  uwsgi_temp_path {dir}/nginx-uwsgi;
  scgi_temp_path {dir}/nginx-scgi;
  upstream plain {{ server {up_plain}; keepalive 256; keepalive_requests 1000000000; }}
  upstream tls {{ server {up_tls}; keepalive 256; keepalive_requests 1000000000; }}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Authorization "{authorization}";
  # Bodies stay in memory.
  client_body_buffer_size 64k;
  proxy_max_temp_file_size 0;
  proxy_ssl_name localhost;
  proxy_ssl_verify on;
  proxy_ssl_trusted_certificate {ca};
  server {{ listen {plain}; location / {{ proxy_pass http://plain; }} }}
  server {{ listen {tls}; location / {{ proxy_pass https://tls; }} }}
}}
"#,
        dir = world.dir.display(),
        up_plain = world.plain,
        up_tls = world.tls,
        authorization = authorization(),
        ca = world.ca_file(),
    );
    let mut command = pinned("nginx");
    command.args(["-c", &world.write("nginx.conf", &config)?]);
    Ok(command)
}

fn haproxy(world: &World, plain: SocketAddr, tls: SocketAddr) -> anyhow::Result<Command> {
    let config = format!(
        r#"
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend plain
  bind {plain}
  http-request set-header Authorization "{authorization}"
  default_backend plain
frontend tls
  bind {tls}
  http-request set-header Authorization "{authorization}"
  default_backend tls
backend plain
  server up {up_plain}
backend tls
  server up {up_tls} ssl verify required ca-file {ca} sni str(localhost) verifyhost localhost
"#,
        up_plain = world.plain,
        up_tls = world.tls,
        authorization = authorization(),
        ca = world.ca_file(),
    );
    let mut command = pinned("haproxy");
    command.args(["-db", "-f", &world.write("haproxy.cfg", &config)?]);
    Ok(command)
}

fn caddy(world: &World, plain: SocketAddr, tls: SocketAddr) -> anyhow::Result<Command> {
    let config = format!(
        r#"
{{
  admin off
  auto_https off
  log {{
    level ERROR
  }}
}}
http://{plain} {{
  reverse_proxy http://{up_plain} {{
    header_up Authorization "{authorization}"
    transport http {{
      keepalive_idle_conns_per_host 256
    }}
  }}
}}
http://{tls} {{
  reverse_proxy https://{up_tls} {{
    header_up Authorization "{authorization}"
    transport http {{
      keepalive_idle_conns_per_host 256
      versions 1.1
      tls_server_name localhost
      tls_trusted_ca_certs {ca}
    }}
  }}
}}
"#,
        up_plain = world.plain,
        up_tls = world.tls,
        authorization = authorization(),
        ca = world.ca_file(),
    );
    let mut command = pinned("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config", &world.write("Caddyfile", &config)?]);
    command.env("GOMAXPROCS", "1").env("HOME", &world.dir);
    Ok(command)
}

fn envoy(world: &World, plain: SocketAddr, tls: SocketAddr) -> anyhow::Result<Command> {
    let listener = |name: &str, address: SocketAddr| {
        format!(
            r#"
  - name: {name}
    address: {{ socket_address: {{ address: {ip}, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
          route_config:
            virtual_hosts:
            - {{ name: all, domains: ["*"], routes: [ {{ match: {{ prefix: / }}, route: {{ cluster: {name} }} }} ] }}
          http_filters:
          - name: envoy.filters.http.credential_injector
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector
              overwrite: true
              credential:
                name: envoy.http.injected_credentials.generic
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic
                  credential: {{ name: authorization }}
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"#,
            ip = address.ip(),
            port = address.port(),
        )
    };
    let cluster = |name: &str, address: SocketAddr, tls: &str| {
        format!(
            r"
  - name: {name}
    type: STATIC
    load_assignment:
      cluster_name: {name}
      endpoints: [ {{ lb_endpoints: [ {{ endpoint: {{ address: {{ socket_address: {{ address: {ip}, port_value: {port} }} }} }} }} ] }} ]{tls}",
            ip = address.ip(),
            port = address.port(),
        )
    };
    let socket = format!(
        r#"
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: localhost
        common_tls_context: {{ validation_context: {{ trusted_ca: {{ filename: {} }} }} }}"#,
        world.ca_file()
    );
    let config = format!(
        r#"static_resources:
  secrets:
  - {{ name: authorization, generic_secret: {{ secret: {{ inline_string: "{authorization}" }} }} }}
  listeners:{}{}
  clusters:{}{}
"#,
        listener("plain", plain),
        listener("tls", tls),
        cluster("plain", world.plain, ""),
        cluster("tls", world.tls, &socket),
        authorization = authorization(),
    );
    let mut command = pinned(&world.envoy);
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"]);
    command.arg(world.write("envoy.yaml", &config)?);
    Ok(command)
}

/// A proxy that is part of this program.
fn own(
    name: &str,
    listen: SocketAddr,
    upstream: SocketAddr,
    ca_file: Option<String>,
) -> anyhow::Result<Command> {
    let mut command = pinned(std::env::current_exe()?);
    command.args([name, &listen.to_string(), &upstream.to_string()]).args(ca_file);
    Ok(command)
}

fn version(name: &str, world: &World) -> anyhow::Result<String> {
    let said = |command: &mut Command| -> anyhow::Result<String> {
        let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let is_number = |word: &&str| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
        let version = text.split([' ', '\n', '/']).find(|word| is_number(word) && word.contains('.'));
        Ok(version.unwrap_or("unknown").trim_start_matches('v').to_owned())
    };
    match name {
        "sidekey" => said(Command::new(&world.sidekey).arg("--version")),
        "nginx" => said(Command::new("nginx").arg("-v")),
        "haproxy" => said(Command::new("haproxy").arg("-v")),
        "caddy" => said(Command::new("caddy").arg("version")),
        "envoy" => {
            // "…/envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL"
            let output = Command::new(&world.envoy).arg("--version").output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok(text
                .rsplit(' ')
                .next()
                .and_then(|text| text.split('/').nth(1))
                .unwrap_or("unknown")
                .to_owned())
        }
        _ => {
            let lock = include_str!("../../../Cargo.lock");
            let entry =
                lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{name}\"\n")));
            let version = entry.and_then(|entry| entry.split("version = \"").nth(1)?.split('"').next());
            Ok(version.unwrap_or("unknown").to_owned())
        }
    }
}
