//! The configuration: one YAML file in, one [`Config`] out that cannot hold a mistake.
//!
//! `document` makes a `tree` of the text, with `location` for the line of every node; `resolve` works in merges
//! and variables; `mapping` hands out fields, `value` reads values, `report` collects mistakes; `load`,
//! `service`, `auth` and the others turn them into the types below. Nothing is validated after construction:
//! a value of these types is good by its type. Knows nothing of the program but `secret`.

mod api_key;
mod auth;
mod command;
mod diff;
mod listen;
mod load;
mod log;
mod oauth2;
mod reader;
mod reload;
mod secret;
mod service;
mod state;
#[cfg(test)]
mod tests;
mod tls;
mod tracing;
mod watched_files;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

pub use auth::{Auth, KeyLocation, Username};
pub use listen::intercept::{Intercept, InterceptFiles, Tunnel, Unmatched};
pub use listen::listener::ListenerConfig;
pub use listen::tls::{ListenerTlsConfig, ListenerTlsFiles};
pub use oauth2::client_auth::{Assertion, BasicEncoding, ClientAuth};
pub use oauth2::dpop::Dpop;
pub use oauth2::grant::{AuthorizationCode, DeviceCode, Grant, Password, TokenExchange};
pub use oauth2::issuer::{Issuer, TokenUrl};
pub use oauth2::jwt_bearer::JwtBearer;
pub use oauth2::settings::OAuth2;
pub use oauth2::token_request::{Proxy, RequestFormat, TokenRequest};
pub use reader::error::{ConfigError, Diagnostic};
pub use reader::interpolate::Environment;
pub use service::upstream::{Circuit, ConnectProxy, PoolLimits, RateLimit, UpstreamOptions};
pub use tls::files::{TlsFiles, UnusableFile};
pub use tracing::Tracing;
pub use watched_files::{FileKind, WatchedFile};

/// Everything the program needs to know, resolved: secrets read, addresses parsed, names unique.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where callers reach every service by path prefix or `Host`.
    pub listen: Vec<ListenerConfig>,
    /// Health, metrics, status page, JSON API.
    pub admin: Admin,
    /// Every service, in the order of the file.
    pub services: Vec<ServiceConfig>,
    /// Answers a `CONNECT` in a service's place; it is refused where there is none.
    pub intercept: Option<Intercept>,
    /// What becomes of a `CONNECT` to a host that is no service's.
    pub unmatched: Unmatched,
    /// Logging.
    pub log: Log,
    /// Where traces are sent to, if anywhere.
    pub tracing: Option<Tracing>,
    /// How the process ends.
    pub shutdown: Shutdown,
    /// How changes are noticed.
    pub reload: Reload,
    /// Where a new process is handed the sockets, if anywhere.
    pub upgrade_sock: Option<PathBuf>,
    /// What outlives the process, if anything does.
    pub state: Option<State>,
    /// Worker threads of the data plane; by default one per core.
    pub threads: usize,
    /// Connections of callers at a time, those of all listeners together.
    pub max_connections: usize,
    /// What is allowed but unwise, such as a secret written into the file; `check` prints them.
    pub warnings: Vec<Warning>,
    /// Every file that it was read from.
    pub files: Vec<WatchedFile>,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// `127.0.0.1:8080`
    Tcp(SocketAddr),
    /// `unix:/run/sidekey.sock`
    Unix(PathBuf),
}

impl std::str::FromStr for ListenAddress {
    type Err = String;

    /// As it is written in the configuration.
    fn from_str(text: &str) -> Result<Self, String> {
        listen::address::parse(text)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `admin`: the listener for health, metrics, the status page and the JSON API, and who may do what there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens.
    pub listen: ListenAddress,
    /// What a request must bring (`Authorization: Bearer …`) to change anything.
    pub token: Option<Secret>,
    /// The JSON API shows nothing without the token either.
    pub require_token_to_read: bool,
    /// Nor do `/metrics` and the body of `/readyz`.
    pub require_token_for_metrics: bool,
    /// Host names, beside addresses and `localhost`, under which page and API may be reached.
    pub hosts: Vec<String>,
}

impl Admin {
    /// Open for reading, closed for changes.
    pub fn at(listen: ListenAddress) -> Self {
        let (require_token_to_read, require_token_for_metrics) = (false, false);
        Self { listen, token: None, require_token_to_read, require_token_for_metrics, hosts: Vec::new() }
    }
}

/// A named upstream with its credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// The entry's name under `services`: a path segment (`[A-Za-z0-9][A-Za-z0-9_.-]*`, 63 characters at most).
    pub name: String,
    /// Where requests go.
    pub upstream: UpstreamUrl,
    /// Host names (lower case, without port) that also lead here.
    pub hosts: Vec<String>,
    /// Addresses of its own that also lead here, without a path prefix.
    pub listen: Vec<ListenerConfig>,
    /// What is injected.
    pub auth: Auth,
    /// TLS toward the upstream.
    pub tls: Tls,
    /// The version of HTTP that the upstream is spoken to in.
    pub protocol: Protocol,
    /// Limits on waiting for the upstream.
    pub timeouts: Timeouts,
    /// How the upstream is reached, and how much of it is used.
    pub options: UpstreamOptions,
    /// How long a request may wait for the very first token.
    pub token_wait: Duration,
    /// A `Location` inside the upstream is rewritten to the way the caller came in.
    pub rewrite_location: bool,
    /// Whether a request is sent once more after a 401, with another credential.
    pub replay_on_401: bool,
    /// Does not hold readiness back.
    pub optional: bool,
}

/// `protocol`: the version of HTTP toward an upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What came by HTTP/2 goes by HTTP/2 where the upstream's TLS agrees to it; everything else by HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS by prior knowledge.
    Http2,
}

/// The base URL a service forwards to, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamUrl {
    /// `https`, or `http` where `allow_plaintext` or loopback permits it.
    pub tls: bool,
    /// Host name (lower case, ASCII) or address.
    pub host: Host,
    /// TCP port.
    pub port: u16,
    /// The path every request is put under: empty, or `/…` without a trailing slash.
    pub base_path: String,
}

impl ServiceConfig {
    /// Every URL of `upstream`, the first one first.
    pub fn upstreams(&self) -> impl Iterator<Item = &UpstreamUrl> {
        std::iter::once(&self.upstream).chain(&self.options.alternatives)
    }
}

impl UpstreamUrl {
    /// `host` or `host:port` as it stands in a `Host` field: the port is left out where it is the scheme's own.
    pub fn authority(&self) -> String {
        if self.port == if self.tls { 443 } else { 80 } {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.base_path)
    }
}

/// A host in a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name.
    Name(String),
    /// A literal address.
    Ip(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// `tls`: TLS toward an upstream or token endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// PEM bundle that replaces the machine's CA roots; read and parsed when the configuration is.
    pub ca_file: Option<PathBuf>,
    /// `cert_file` and `key_file`: who Sidekey is to the other side (mTLS).
    pub client: Option<ClientCertificate>,
    /// Name to send (SNI) and to verify instead of the URL's host.
    pub server_name: Option<String>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Any certificate is accepted, for any name: whoever answers gets the credential.
    pub danger_skip_verify: bool,
}

/// A client certificate: the chain, leaf first, and the leaf's key, in PEM files that may be one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// `cert_file`
    pub cert_file: PathBuf,
    /// `key_file`
    pub key_file: PathBuf,
}

/// `min_version`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum TlsVersion {
    /// RFC 5246; what is older is not spoken at all.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// `timeouts`: limits on waiting for an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP and TLS handshake together.
    pub connect: Duration,
    /// From the end of the request to the first byte of the response.
    pub first_byte: Duration,
    /// Between two reads or writes of a body.
    pub idle: Duration,
    /// The whole request, if limited.
    pub total: Option<Duration>,
    /// Between two pieces of anything after the switch to WebSocket, if limited.
    pub tunnel_idle: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            total: None,
            tunnel_idle: None,
        }
    }
}

/// `log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A level or a filter in the syntax of `RUST_LOG`, which wins over it.
    pub level: String,
    /// Text or JSON.
    pub format: LogFormat,
    /// One line per request.
    pub access: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Auto, access: false }
    }
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// `shutdown`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    /// How long requests in flight may take to finish after SIGTERM.
    pub drain: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { drain: Duration::from_secs(10) }
    }
}

/// `reload`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// How often the files are looked at; `None` where they are not.
    pub interval: Option<Duration>,
}

impl Default for Reload {
    fn default() -> Self {
        Self { interval: Some(Duration::from_secs(5)) }
    }
}

/// `state`: refresh tokens that the provider rotates, kept on disk, encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// A folder of Sidekey's own; made with mode 0700 where there is none.
    pub dir: PathBuf,
    /// What the encryption key is derived from.
    pub key: Secret,
    /// Whether access tokens are kept as well, so that a restart makes no token request.
    pub access_tokens: bool,
}

/// Allowed, but unwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Line in the file, counted from 1; 0 where it is not known.
    pub line: usize,
    /// Path of the node, such as `services.mail.auth.token`.
    pub path: String,
    /// What and why.
    pub message: String,
}
