//! The proxies that are compared: each started with one worker thread on the first core, doing the same job, which is to
//! write `Authorization` over whatever the caller sent there, with connections kept alive on both sides.

use std::fmt::Write as _;
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

/// The name of an older Sidekey, which is compared as the others are.
pub const BEFORE: &str = "before";

/// The core of every proxy; load and upstream have the other.
const CORE: &str = "0";

/// Where everything is.
pub struct World {
    pub dir: PathBuf,
    pub sidekey: PathBuf,
    /// An older Sidekey.
    pub before: Option<PathBuf>,
    pub envoy: PathBuf,
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    /// HTTP/2 by prior knowledge.
    pub h2: SocketAddr,
}

impl World {
    /// The program of that name, one of the two Sidekeys.
    fn program(&self, name: &str) -> anyhow::Result<&Path> {
        let before = self.before.as_deref().filter(|_| name == BEFORE);
        if name == BEFORE { before.context("--before says where it is") } else { Ok(&self.sidekey) }
    }

    /// The certificate of the run.
    pub fn ca_file(&self) -> String {
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

/// What a proxy is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// HTTP/1.1 on both sides.
    Plain,
    /// The upstream over TLS.
    Tls,
    /// TLS from callers.
    CallerTls,
    /// HTTP/2 from callers, by prior knowledge.
    H2c,
    /// HTTP/2 to the upstream, by prior knowledge.
    H2Upstream,
    /// HTTP/2 on both sides, with trailers.
    Grpc,
    /// A token instead of a fixed one.
    OAuth2,
    /// A token that lives for a second.
    Renewed,
    /// The last of a thousand services.
    Many,
    /// The configuration changes twice a second.
    Reloaded,
}

impl Kind {
    /// Whether callers speak HTTP/2.
    pub fn is_h2(self) -> bool {
        matches!(self, Self::H2c | Self::Grpc)
    }
}

/// What leads to an upstream in one way.
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
    targets: Vec<(Kind, Target)>,
    processes: Vec<Process>,
}

impl Proxy {
    /// The way of this kind, where the proxy has it.
    pub fn target(&self, kind: Kind) -> Option<&Target> {
        self.targets.iter().find(|(own, _)| *own == kind).map(|(_, target)| target)
    }

    /// HTTP/1.1 on both sides, which every proxy has.
    pub fn plain(&self) -> &Target {
        self.target(Kind::Plain).expect("every proxy has it")
    }

    /// Every way.
    pub fn targets(&self) -> impl Iterator<Item = (Kind, &Target)> {
        self.targets.iter().map(|(kind, target)| (*kind, target))
    }

    /// What its processes wrote.
    pub fn said(&self) -> String {
        let read = |process: &Process| std::fs::read_to_string(&process.log).unwrap_or_default();
        self.processes.iter().map(read).collect()
    }
}

/// Starts the proxy of that name.
pub fn start(name: &str, world: &World) -> anyhow::Result<Proxy> {
    use Kind::{CallerTls, Grpc, H2Upstream, H2c, Many, OAuth2, Plain, Reloaded, Renewed, Tls};
    // What listens where: a process for each of the small proxies, which do one thing; one for each of the others.
    let ways: Vec<(Kind, SocketAddr, &'static str)> = match name {
        "sidekey" | BEFORE => {
            let (all, many, reloaded) = (free_address()?, free_address()?, free_address()?);
            let caller_tls = free_address()?;
            vec![
                (Plain, all, "/plain"),
                (Tls, all, "/tls"),
                (CallerTls, caller_tls, "/plain"),
                (H2c, all, "/plain"),
                (H2Upstream, all, "/h2"),
                (Grpc, all, "/h2"),
                (OAuth2, all, "/oauth2"),
                (Renewed, all, "/renewed"),
                (Many, many, "/service-0999"),
                (Reloaded, reloaded, "/plain"),
            ]
        }
        // A listener for each version; nginx speaks HTTP/2 to upstreams for gRPC alone, and what HAProxy makes of an HTTP/2
        // answer has no reason phrase and no space before it, which h2load does not read.
        "nginx" | "haproxy" => with_addresses(&[Plain, Tls, CallerTls, H2c, Grpc])?,
        "pingora" | "hyper" | "caddy" | "envoy" => with_addresses(&[Plain, Tls, H2c, H2Upstream, Grpc])?,
        _ => bail!("there is no proxy {name:?}; there are {}", ALL.join(", ")),
    };
    let at = |kind| ways.iter().find(|(own, ..)| *own == kind).expect("listed above").1;
    let commands = match name {
        "sidekey" | BEFORE => vec![
            pinned_sidekey(world, name, &sidekey_config(world, name, at(Plain), Some(at(CallerTls)), 1)?)?,
            pinned_sidekey(world, name, &many_config(world, at(Many))?)?,
            pinned_sidekey(world, name, &sidekey_config(world, RELOADED, at(Reloaded), None, 1)?)?,
        ],
        "nginx" => vec![nginx(world, &at)?],
        "haproxy" => vec![haproxy(world, &at)?],
        "caddy" => vec![caddy(world, &at)?],
        "envoy" => vec![envoy(world, &at)?],
        _ => ways
            .iter()
            .map(|(kind, address, _)| own(name, *kind, *address, world))
            .collect::<Result<_, _>>()?,
    };
    let processes = commands
        .into_iter()
        .map(|mut command| Process::start(&mut command, &world.dir))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let process = |index: usize, kind| match (name, kind) {
        ("sidekey" | BEFORE, Many) => processes[1].id(),
        ("sidekey" | BEFORE, Reloaded) => processes[2].id(),
        ("pingora" | "hyper", _) => processes[index].id(),
        _ => processes[0].id(),
    };
    let targets = ways
        .iter()
        .enumerate()
        .map(|(index, (kind, address, prefix))| {
            (*kind, Target { process: process(index, *kind), address: *address, prefix })
        })
        .collect();
    Ok(Proxy { name: name.to_owned(), version: version(name, world)?, targets, processes })
}

/// Starts what of that proxy does HTTP/1.1 on both sides.
pub fn start_plain(name: &str, world: &World) -> anyhow::Result<Proxy> {
    let address = free_address()?;
    let mut command = match name {
        "sidekey" | BEFORE => {
            pinned_sidekey(world, name, &sidekey_config(world, &format!("{name}-start"), address, None, 1)?)?
        }
        "pingora" | "hyper" => own(name, Kind::Plain, address, world)?,
        _ => {
            let others = (free_address()?, free_address()?, free_address()?, free_address()?);
            let caller_tls = free_address()?;
            let at = |kind| match kind {
                Kind::Plain => address,
                Kind::Tls => others.0,
                Kind::CallerTls => caller_tls,
                Kind::H2c => others.1,
                Kind::H2Upstream => others.2,
                _ => others.3,
            };
            match name {
                "nginx" => nginx(world, &at)?,
                "haproxy" => haproxy(world, &at)?,
                "caddy" => caddy(world, &at)?,
                "envoy" => envoy(world, &at)?,
                _ => bail!("there is no proxy {name:?}; there are {}", ALL.join(", ")),
            }
        }
    };
    let process = Process::start(&mut command, &world.dir)?;
    let prefix = if matches!(name, "sidekey" | BEFORE) { "/plain" } else { "" };
    let target = Target { process: process.id(), address, prefix };
    let targets = vec![(Kind::Plain, target)];
    Ok(Proxy { name: name.to_owned(), version: String::new(), targets, processes: vec![process] })
}

fn with_addresses(kinds: &[Kind]) -> anyhow::Result<Vec<(Kind, SocketAddr, &'static str)>> {
    kinds.iter().map(|kind| Ok((*kind, free_address()?, ""))).collect()
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

fn pinned_sidekey(world: &World, name: &str, config: &str) -> anyhow::Result<Command> {
    let mut command = pinned(world.program(name)?);
    command.args(["run", "--config", config]);
    Ok(command)
}

/// The configuration that changes under load.
pub const RELOADED: &str = "sidekey-reloaded";

/// Sidekey with so many workers, free to use every core.
pub fn start_workers(world: &World, workers: usize) -> anyhow::Result<Proxy> {
    let address = free_address()?;
    let config = sidekey_config(world, &format!("sidekey-workers-{workers}"), address, None, workers)?;
    let mut command = Command::new("taskset");
    command.args(["-c", "0,1"]).arg(&world.sidekey).args(["run", "--config", &config]);
    let process = Process::start(&mut command, &world.dir)?;
    let target = Target { process: process.id(), address, prefix: "/plain" };
    Ok(Proxy {
        name: "sidekey".to_owned(),
        version: String::new(),
        targets: vec![(Kind::Plain, target)],
        processes: vec![process],
    })
}

/// Writes Sidekey's configuration; returns where.
pub fn sidekey_config(
    world: &World,
    name: &str,
    listen: SocketAddr,
    caller_tls: Option<SocketAddr>,
    workers: usize,
) -> anyhow::Result<String> {
    let key_file = world.dir.join("key.pem").display().to_string();
    let caller_tls = caller_tls.map_or_else(String::new, |address| {
        format!(
            ", {{ address: '{address}', tls: {{ cert_file: {}, key_file: {key_file} }} }}",
            world.ca_file()
        )
    });
    let token = authorization().trim_start_matches("Bearer ");
    let oauth2 = |token_path: &str| {
        format!(
            "{{ type: oauth2, grant_type: client_credentials, token_url: 'http://{}{token_path}', client_id: bench, client_secret: bench }}",
            world.plain
        )
    };
    let config = format!(
        r"
listen: [ '{listen}'{caller_tls} ]
admin: {admin}
threads: {workers}
services:
  plain:
    upstream: http://{plain}
    auth: {{ type: bearer, token: {token} }}
  tls:
    upstream: https://{tls}
    auth: {{ type: bearer, token: {token} }}
    tls: {{ ca_file: {ca}, server_name: localhost }}
  h2:
    upstream: http://{h2}
    protocol: http2
    auth: {{ type: bearer, token: {token} }}
  oauth2:
    upstream: http://{plain}
    auth: {hourly}
  renewed:
    upstream: http://{plain}
    auth: {secondly}
",
        admin = free_address()?,
        plain = world.plain,
        tls = world.tls,
        h2 = world.h2,
        ca = world.ca_file(),
        hourly = oauth2("/token"),
        secondly = oauth2("/token-1s"),
    );
    world.write(&format!("{name}.yaml"), &config)
}

/// A thousand services, the last of which is asked for.
fn many_config(world: &World, listen: SocketAddr) -> anyhow::Result<String> {
    let token = authorization().trim_start_matches("Bearer ");
    let mut config = format!("listen: {listen}\nadmin: {}\nthreads: 1\nservices:\n", free_address()?);
    for number in 0..1000 {
        let _ = writeln!(
            config,
            "  service-{number:04}: {{ upstream: 'http://{}', auth: {{ type: bearer, token: {token} }} }}",
            world.plain
        );
    }
    world.write("sidekey-many.yaml", &config)
}

fn nginx(world: &World, at: &dyn Fn(Kind) -> SocketAddr) -> anyhow::Result<Command> {
    let config = format!(
        r#"
daemon off;
worker_processes 1;
error_log stderr crit;
pid {dir}/nginx.pid;
events {{ worker_connections 32768; }}
worker_rlimit_nofile 20000;
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
  proxy_ssl_protocols TLSv1.3;
  proxy_ssl_name localhost;
  proxy_ssl_verify on;
  proxy_ssl_trusted_certificate {ca};
  server {{ listen {plain}; location / {{ proxy_pass http://plain; }} }}
  server {{ listen {tls}; location / {{ proxy_pass https://tls; }} }}
  server {{
    listen {caller_tls} ssl;
    ssl_certificate {ca};
    ssl_certificate_key {dir}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{ proxy_pass http://plain; }}
  }}
  server {{ listen {h2c} http2; http2_max_requests 1000000000; location / {{ proxy_pass http://plain; }} }}
  upstream h2 {{ server {up_h2}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen {grpc} http2;
    http2_max_requests 1000000000;
    location / {{ grpc_pass grpc://h2; grpc_set_header Authorization "{authorization}"; }}
  }}
}}
"#,
        dir = world.dir.display(),
        up_plain = world.plain,
        up_tls = world.tls,
        authorization = authorization(),
        ca = world.ca_file(),
        plain = at(Kind::Plain),
        tls = at(Kind::Tls),
        caller_tls = at(Kind::CallerTls),
        h2c = at(Kind::H2c),
        grpc = at(Kind::Grpc),
        up_h2 = world.h2,
    );
    let mut command = pinned("nginx");
    command.args(["-c", &world.write("nginx.conf", &config)?]);
    Ok(command)
}

fn haproxy(world: &World, at: &dyn Fn(Kind) -> SocketAddr) -> anyhow::Result<Command> {
    // HAProxy reads certificate and key from one file.
    let both =
        [world.ca_file(), world.dir.join("key.pem").display().to_string()].map(std::fs::read_to_string);
    let both = world.write("haproxy.pem", &both.into_iter().collect::<Result<String, _>>()?)?;
    let config = format!(
        r#"
global
  nbthread 1
  maxconn 9900
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
frontend caller_tls
  bind {caller_tls} ssl crt {both}
  http-request set-header Authorization "{authorization}"
  default_backend plain
frontend h2c
  bind {h2c} proto h2
  http-request set-header Authorization "{authorization}"
  default_backend plain
frontend grpc
  bind {grpc} proto h2
  http-request set-header Authorization "{authorization}"
  default_backend h2
backend h2
  server up {up_h2} proto h2
backend plain
  server up {up_plain}
backend tls
  server up {up_tls} ssl ssl-min-ver TLSv1.3 verify required ca-file {ca} sni str(localhost) verifyhost localhost
"#,
        up_plain = world.plain,
        up_tls = world.tls,
        authorization = authorization(),
        ca = world.ca_file(),
        plain = at(Kind::Plain),
        tls = at(Kind::Tls),
        caller_tls = at(Kind::CallerTls),
        h2c = at(Kind::H2c),
        grpc = at(Kind::Grpc),
        up_h2 = world.h2,
    );
    let mut command = pinned("haproxy");
    command.args(["-db", "-f", &world.write("haproxy.cfg", &config)?]);
    Ok(command)
}

fn caddy(world: &World, at: &dyn Fn(Kind) -> SocketAddr) -> anyhow::Result<Command> {
    let config = format!(
        r#"
{{
  admin off
  auto_https off
  servers {{
    protocols h1 h2c
  }}
  log {{
    level ERROR
  }}
}}
http://{plain}, http://{h2c} {{
  reverse_proxy http://{up_plain} {{
    header_up Authorization "{authorization}"
    transport http {{
      keepalive_idle_conns_per_host 256
    }}
  }}
}}
http://{h2up}, http://{grpc} {{
  reverse_proxy h2c://{up_h2} {{
    header_up Authorization "{authorization}"
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
        plain = at(Kind::Plain),
        tls = at(Kind::Tls),
        h2c = at(Kind::H2c),
        h2up = at(Kind::H2Upstream),
        grpc = at(Kind::Grpc),
        up_h2 = world.h2,
    );
    let mut command = pinned("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config", &world.write("Caddyfile", &config)?]);
    command.env("GOMAXPROCS", "1").env("HOME", &world.dir);
    Ok(command)
}

fn envoy(world: &World, at: &dyn Fn(Kind) -> SocketAddr) -> anyhow::Result<Command> {
    let listener = |name: &str, address: SocketAddr, cluster: &str| {
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
            - {{ name: all, domains: ["*"], routes: [ {{ match: {{ prefix: / }}, route: {{ cluster: {cluster} }} }} ] }}
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
        common_tls_context:
          tls_params: {{ tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3 }}
          validation_context: {{ trusted_ca: {{ filename: {} }} }}"#,
        world.ca_file()
    );
    let h2 = r#"
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }"#;
    let listeners = [
        listener("plain", at(Kind::Plain), "plain"),
        listener("tls", at(Kind::Tls), "tls"),
        listener("h2c", at(Kind::H2c), "plain"),
        listener("h2up", at(Kind::H2Upstream), "h2"),
        listener("grpc", at(Kind::Grpc), "h2"),
    ];
    let clusters =
        [cluster("plain", world.plain, ""), cluster("tls", world.tls, &socket), cluster("h2", world.h2, h2)];
    let config = format!(
        r#"static_resources:
  secrets:
  - {{ name: authorization, generic_secret: {{ secret: {{ inline_string: "{authorization}" }} }} }}
  listeners:{}
  clusters:{}
"#,
        listeners.concat(),
        clusters.concat(),
        authorization = authorization(),
    );
    let mut command = pinned(&world.envoy);
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"]);
    command.arg(world.write("envoy.yaml", &config)?);
    Ok(command)
}

/// A proxy that is part of this program; it does one thing.
fn own(name: &str, kind: Kind, listen: SocketAddr, world: &World) -> anyhow::Result<Command> {
    let mut command = pinned(std::env::current_exe()?);
    let upstream = match kind {
        Kind::Tls => world.tls,
        Kind::H2Upstream | Kind::Grpc => world.h2,
        _ => world.plain,
    };
    command.args([name, &listen.to_string(), &upstream.to_string()]);
    match kind {
        Kind::Tls => command.args(["--ca-file", &world.ca_file()]),
        Kind::H2Upstream | Kind::Grpc => command.arg("--h2-upstream"),
        _ => &mut command,
    };
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
        "sidekey" | BEFORE => said(Command::new(world.program(name)?).arg("--version")),
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
