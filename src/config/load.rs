//! Reads a file or a text into a [`Config`], or reports every error in it.

use std::collections::HashMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};

use super::auth::credentials::{CREDENTIALS, Credentials};
use super::callers::caller::{CALLERS, CallerConfig};
use super::callers::role::{ROLES, RoleConfig};
use super::callers::{audit, caller, role};
use super::exposure;
use super::exposure::Content;
use super::hardening::HARDENING;
use super::http_url::HTTP_URL;
use super::listen::address::{ListenAddress, ListenAddresses};
use super::listen::admin::ADMIN;
use super::listen::listener::{LISTENERS, ListenerConfig};
use super::listen::{admin, intercept, listener};
use super::log::Log;
use super::model::Config;
use super::reader::document;
use super::reader::document::{EMPTY, MAX_BYTES, TOO_LARGE};
use super::reader::error::{ConfigError, Warning};
use super::reader::interpolate::Environment;
use super::reader::mapping::Mapping;
use super::reader::report::Report;
use super::reader::resolve::resolve;
use super::reader::table::{Format, Key, Keys};
use super::reader::tree::Kind;
use super::reader::value::Value;
use super::readers::Readers;
use super::reload::Reload;
use super::selection::Selection;
use super::service::entry;
use super::service::entry::{SERVICES, ServiceConfig, Shared};
use super::tracing::settings as tracing;
use super::watched_files::{FileKind, WatchedFile};
use super::{
    browser_origins, downstream_timeouts, hardening, log, name_constraints, reload, shutdown, state,
};
use crate::secret::SecretCache;

/// The tables of the file as a whole.
pub(super) const FILE: &[Keys] = &[KEYS];

const KEYS: Keys = &[
    Key::optional(
        "listen",
        LISTENERS,
        "Where callers reach every service by path prefix or Host. Default: 127.0.0.1:8080.",
    ),
    Key::optional("admin", ADMIN, "Health, metrics, status page, JSON API. Default: 127.0.0.1:9090."),
    Key::required("services", SERVICES, "Every service by its name, which is the first segment of the path."),
    Key::optional(
        "credentials",
        CREDENTIALS,
        "Credentials that several services share; named with `auth: { use: NAME }`.",
    ),
    Key::optional("callers", CALLERS, "Who may call, by name, and what each caller is known by."),
    Key::optional("roles", ROLES, "Which callers may use which services, and how."),
    Key::optional("audit", Format::Keys(&[audit::KEYS]), "Where decisions about requests are recorded."),
    Key::optional("via", Format::Bool, "`Via` is added to forwarded messages.").or("false"),
    Key::optional(
        "intercept",
        Format::Keys(&[intercept::INTERCEPT]),
        "The CA in whose name a `CONNECT` to a service is answered.",
    ),
    Key::optional(
        "connect",
        Format::Keys(&[intercept::CONNECT]),
        "How a `CONNECT` to a host of no service is answered.",
    ),
    Key::optional(
        "browser_origins",
        Format::OneOrMore(&HTTP_URL),
        "Origins whose web pages may send requests.",
    ),
    Key::optional("log", Format::Keys(&[log::KEYS]), "Logging."),
    Key::optional("access_log", Format::Bool, "One log line for each request.").or("false"),
    Key::optional(
        "tracing",
        Format::Keys(&[tracing::KEYS]),
        "Spans of requests and token requests, sent to an OpenTelemetry collector by OTLP over HTTP.",
    ),
    Key::optional(
        "downstream_timeouts",
        Format::Keys(&[downstream_timeouts::KEYS]),
        "Time limits on callers' connections.",
    ),
    Key::optional("shutdown", Format::Keys(&[shutdown::KEYS]), "How the process ends."),
    Key::optional("state", Format::Keys(&[state::KEYS]), "Tokens on disk, encrypted."),
    Key::optional("reload", Format::Keys(&[reload::KEYS]), "How changes are noticed."),
    Key::optional("upgrade_sock", Format::Text, "Path of the Unix socket at which a new process takes over."),
    Key::optional(
        "hardening",
        HARDENING,
        "Whether the process gives up what it does not need: core dumps, writing, system calls.",
    )
    .or("full"),
    Key::optional(
        "threads",
        Format::Number(1, MAX_THREADS as u64),
        "Worker threads of the data plane. Default: one for each core.",
    ),
    Key::optional("max_connections", Format::Number(1, 1_000_000), "Limit on downstream connections.")
        .or("16384"),
];

/// Largest number of worker threads.
const MAX_THREADS: usize = 256;

/// Default of `max_connections`: more than one app opens, and few enough for the memory of a small container.
const DEFAULT_MAX_CONNECTIONS: usize = 16_384;

impl Config {
    /// Reads a file, and fetches its secrets.
    pub fn load(path: &Path, readers: Readers) -> Result<Self, ConfigError> {
        Self::load_with(path, &SecretCache::default(), readers)
    }

    /// Reads a file. Secrets from sources that are polled are those in `secrets`, or fetched if it has none.
    pub fn load_with(path: &Path, secrets: &SecretCache, readers: Readers) -> Result<Self, ConfigError> {
        Self::load_selected(path, &Selection::All, secrets, readers)
    }

    /// Reads a part of a file, as [`load_with`](Self::load_with) reads all of it.
    pub fn load_selected(
        path: &Path,
        selection: &Selection,
        secrets: &SecretCache,
        readers: Readers,
    ) -> Result<Self, ConfigError> {
        let seen = WatchedFile::fingerprint(path, FileKind::Config);
        match Self::load_unseen(path, selection, secrets, readers) {
            Ok(mut config) => {
                config.files.push(seen);
                let of_file = |message| Warning { line: 1, path: "configuration".into(), message };
                let exposed = exposure::of_file(path, Content::Trusted);
                // A folder may lead to other files as well.
                config.warnings.retain(|warning| !exposed.contains(&warning.message));
                config.warnings.splice(0..0, exposed.into_iter().map(of_file));
                Ok(config)
            }
            Err(error) => Err(error.with_files(vec![seen])),
        }
    }

    fn load_unseen(
        path: &Path,
        selection: &Selection,
        secrets: &SecretCache,
        readers: Readers,
    ) -> Result<Self, ConfigError> {
        Self::parse_all(
            &document::read_file(path)?,
            &path.display().to_string(),
            selection,
            &|name| std::env::var_os(name),
            secrets,
            readers,
        )
    }

    /// Reads a text; `file` is its name in error messages.
    pub fn parse(text: &str, file: &str, readers: Readers) -> Result<Self, ConfigError> {
        Self::parse_with(text, file, &|name| std::env::var_os(name), readers)
    }

    /// Reads a text; environment variables come from a function.
    pub fn parse_with(
        text: &str,
        file: &str,
        environment: &Environment<'_>,
        readers: Readers,
    ) -> Result<Self, ConfigError> {
        Self::parse_all(text, file, &Selection::All, environment, &SecretCache::default(), readers)
    }

    /// Reads an input to its end; `file` is its name in error messages. Secrets as [`load_with`](Self::load_with) has them.
    pub fn parse_input(
        input: &mut impl Read,
        file: &str,
        secrets: &SecretCache,
        readers: Readers,
    ) -> Result<Self, ConfigError> {
        let text = document::read_input(input, file)?;
        Self::parse_all(&text, file, &Selection::All, &|name| std::env::var_os(name), secrets, readers)
    }

    fn parse_all(
        text: &str,
        file: &str,
        selection: &Selection,
        environment: &Environment<'_>,
        secrets: &SecretCache,
        readers: Readers,
    ) -> Result<Self, ConfigError> {
        if text.len() > MAX_BYTES {
            return Err(ConfigError::whole(file, TOO_LARGE.into()));
        }
        let mut root = document::parse(text).map_err(|diagnostics| ConfigError::new(file, diagnostics))?;
        if matches!(root.kind, Kind::Null) {
            return Err(ConfigError::whole(file, EMPTY.into()));
        }
        selection.apply(&mut root).map_err(|message| ConfigError::whole(file, message))?;
        let report = Report::new(environment, secrets);
        resolve(&mut root, "", false, &report);
        let config = read(&Value::root(&root, &report, Format::Keys(FILE), readers.sources), readers);
        let (diagnostics, mut warnings, files) = report.into_parts();
        warnings.sort_by_key(|warning| warning.line);
        match config {
            Some(config) if diagnostics.is_empty() => Ok(Self { warnings, files, ..config }),
            _ => Err(ConfigError::new(file, diagnostics).with_files(files)),
        }
    }
}

/// Reads the file as a whole. `None` means that an error was reported; with `Some` one may have been reported
/// as well.
pub(super) fn read(root: &Value<'_>, readers: Readers) -> Option<Config> {
    let mut mapping = root.mapping()?;
    // Read in the order in which error messages list them.
    let (listen, admin_value) = (mapping.optional("listen"), mapping.optional("admin"));
    let services = mapping.required("services");
    let credentials = mapping.optional("credentials");
    let via = mapping.optional("via").and_then(|value| value.boolean());
    let mut shared = Shared {
        credentials: credentials.map_or_else(
            || Credentials::none(readers.kinds),
            |value| Credentials::read(&value, readers.kinds),
        ),
        addresses: ListenAddresses::new(mapping.has("callers")),
        hosts: HashMap::new(),
        via: via.unwrap_or_default(),
    };
    let listen = self::listen(listen, &mut shared.addresses);
    let admin = admin::read(admin_value, &mut shared.addresses);
    let services = services.and_then(|value| entry::read_all(&value, &mut shared));
    let (callers, roles) = who_may_call(&mut mapping, services.as_deref());
    let audit = mapping.optional("audit").and_then(|value| audit::read(&value));
    let intercept_value = mapping.optional("intercept");
    let intercept = intercept_value.as_ref().and_then(intercept::read);
    if let (Some(value), Some(intercept), Some(services)) = (&intercept_value, &intercept, &services) {
        name_constraints::warn_of_hosts_outside(value, intercept, services);
    }
    let unmatched = mapping.optional("connect").and_then(|value| intercept::unmatched(&value));
    let browser_origins = browser_origins::read(&mut mapping);
    let log = mapping.optional("log").map_or_else(Log::default, |value| log::read(&value));
    let access_log = mapping.optional("access_log").and_then(|value| value.boolean());
    let tracing = mapping.optional("tracing").and_then(|value| tracing::read(&value));
    let downstream_timeouts = downstream_timeouts::read(&mut mapping);
    let shutdown = shutdown::read(&mut mapping);
    let state = mapping.optional("state").and_then(|value| state::read(&value));
    let reload = mapping.optional("reload").map_or_else(Reload::default, |value| reload::read(&value));
    let upgrade_sock = mapping.optional("upgrade_sock").and_then(|value| value.parse(socket_path));
    let hardening = mapping.optional("hardening").and_then(|value| hardening::read(&value));
    let threads = threads(&mut mapping);
    let max_connections = mapping.optional("max_connections").and_then(|value| value.number());
    let max_connections = max_connections.and_then(|number| usize::try_from(number).ok());
    mapping.reject_unknown_keys();
    shared.credentials.warn_of_unused();
    Some(Config {
        listen,
        admin,
        services: without_callers_credential(services?, &callers),
        callers,
        roles,
        audit,
        intercept,
        unmatched: unmatched.unwrap_or_default(),
        browser_origins,
        log,
        access_log: access_log.unwrap_or_default(),
        tracing,
        downstream_timeouts,
        shutdown,
        state,
        reload,
        upgrade_sock,
        hardening: hardening.unwrap_or_default(),
        threads,
        max_connections: max_connections.unwrap_or(DEFAULT_MAX_CONNECTIONS),
        warnings: Vec::new(),
        files: Vec::new(),
    })
}

/// Reads `callers` and `roles`.
fn who_may_call(
    mapping: &mut Mapping<'_>,
    services: Option<&[ServiceConfig]>,
) -> (Vec<CallerConfig>, Vec<RoleConfig>) {
    let callers = mapping.optional("callers");
    let roles = mapping.optional("roles");
    if let (None, Some(roles)) = (&callers, &roles) {
        roles.error("a role is given to callers, and there is no `callers`");
    }
    let has_callers = callers.is_some();
    let callers = callers.map_or_else(|| Some(Vec::new()), |value| caller::read_all(&value));
    // Without the names of the callers every name in a role would be reported as well.
    let Some(callers) = callers else { return Default::default() };
    let read = roles.as_ref().filter(|_| has_callers).map(|value| role::read_all(value, &callers, services));
    let read = read.flatten().unwrap_or_default();
    if let (Some(roles), Some(services)) = (&roles, services) {
        let is_named = |service: &&ServiceConfig| {
            read.iter().flat_map(|role| &role.services).any(|grant| grant.service == service.name)
        };
        for service in services.iter().filter(|service| !read.is_empty() && !is_named(service)) {
            roles.warn(format!(
                "no role names the service `{}`: a listener that requires callers serves it to none, and one with \
                 `callers: optional` to all",
                service.name
            ));
        }
    }
    (callers, read)
}

/// The services, which pass on no field in which a caller may present a credential, if a caller does.
fn without_callers_credential(
    mut services: Vec<ServiceConfig>,
    callers: &[CallerConfig],
) -> Vec<ServiceConfig> {
    if callers.iter().any(CallerConfig::presents_credential) {
        for service in &mut services {
            service.headers.remove.extend([AUTHORIZATION, PROXY_AUTHORIZATION]);
        }
    }
    services
}

/// Longest path of `upgrade_sock`, in bytes: what `sockaddr_un` holds, less the suffix added while the socket
/// is created.
const MAX_SOCKET_PATH: usize = 90;

fn socket_path(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("empty".into()),
        _ if text.contains('\0') => Err("not a valid path".into()),
        _ if text.len() > MAX_SOCKET_PATH => {
            Err(format!("longer than {MAX_SOCKET_PATH} bytes, the limit for the path of a socket"))
        }
        _ => Ok(PathBuf::from(text)),
    }
}

fn loopback(port: u16) -> ListenAddress {
    ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], port)))
}

fn listen(value: Option<Value<'_>>, addresses: &mut ListenAddresses) -> Vec<ListenerConfig> {
    if let Some(value) = value {
        return listener::read_all(&value, addresses);
    }
    let default = loopback(8080);
    addresses.reserve_default("listen", &default);
    vec![ListenerConfig { address: default, tls: None, requires_caller: addresses.has_callers }]
}

fn threads(mapping: &mut Mapping<'_>) -> usize {
    let value = mapping.optional("threads");
    let number = value.and_then(|value| value.number());
    match number.and_then(|number| usize::try_from(number).ok()) {
        Some(number) => number,
        None => std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS),
    }
}
