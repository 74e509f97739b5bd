//! The top level of the main file, and that of an included one.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::auth::credentials::{CREDENTIALS, Credentials};
use super::callers::audit;
use super::callers::caller::CALLERS;
use super::callers::role::ROLES;
use super::hardening::HARDENING;
use super::http_url::HTTP_URL;
use super::listen::address::{ListenAddress, ListenAddresses};
use super::listen::admin::ADMIN;
use super::listen::listener::{LISTENERS, ListenerConfig};
use super::listen::{admin, intercept, listener};
use super::log::Log;
use super::model::Config;
use super::reader::mapping::Mapping;
use super::reader::table::{Format, Key, Keys};
use super::reader::value::Value;
use super::readers::Readers;
use super::reload::Reload;
use super::secret_stores::SECRET_STORES;
use super::service::entry;
use super::service::entry::{DEFAULTS, SERVICES, Shared};
use super::tracing::settings as tracing;
use super::{
    browser_origins, downstream_timeouts, hardening, log, reload, secret_stores, shared_store, shutdown,
    state,
};

/// The tables of the file as a whole.
pub(super) const FILE: &[Keys] = &[KEYS];

const KEYS: Keys = &[
    Key::optional(
        "listen",
        LISTENERS,
        "Where callers reach every service by path prefix or Host. Default: 127.0.0.1:8080.",
    ),
    Key::optional("admin", ADMIN, "Health, metrics, status page, JSON API. Default: 127.0.0.1:9090."),
    Key::depends("services", SERVICES, "Every service by its name, which is the first segment of the path."),
    Key::optional(
        "include",
        INCLUDE,
        "Files with further services, folders of them (`*.yaml`, `*.yml`), or patterns with `*`; relative to this file.",
    ),
    Key::optional("defaults", DEFAULTS, "Keys of services that do not have them."),
    Key::optional(
        "credentials",
        CREDENTIALS,
        "Credentials that several services share; named with `auth: { use: NAME }`.",
    ),
    Key::optional(
        "secret_stores",
        SECRET_STORES,
        "Servers that secrets are read from, by name: Vault or OpenBao, and AWS Secrets Manager.",
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
    Key::optional(
        "shared",
        Format::Keys(&[shared_store::KEYS]),
        "The store through which the processes of a fleet share tokens.",
    ),
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

/// The format of `include`.
pub(super) const INCLUDE: Format = Format::OneOrMore(&Format::Text);

/// The tables of an included file.
pub(super) const INCLUDED: &[Keys] = &[&[
    Key::optional("services", SERVICES, "Every service by its name, which is the first segment of the path."),
    Key::optional("defaults", DEFAULTS, "Keys of services of this file that do not have them."),
]];

/// Largest number of worker threads.
const MAX_THREADS: usize = 256;

/// Default of `max_connections`: more than one app opens, and few enough for the memory of a small container.
const DEFAULT_MAX_CONNECTIONS: usize = 16_384;

/// The main file, without its services, and without what depends on the services of all files.
pub(super) struct MainFile<'a> {
    /// The configuration, which has no service yet.
    pub(super) config: Config,
    pub(super) services: Vec<(&'a str, Value<'a>)>,
    /// The values of `callers` and `roles`.
    pub(super) callers: Option<Value<'a>>,
    pub(super) roles: Option<Value<'a>>,
    /// The value of `intercept`.
    pub(super) intercept: Option<Value<'a>>,
    /// The value of `secret_stores`.
    pub(super) stores: Option<Value<'a>>,
    pub(super) shared: Shared<'a>,
    /// The addresses of the top level.
    pub(super) addresses: ListenAddresses,
}

/// Reads the main file. `None` means that an error was reported; with `Some` one may have been reported as well.
pub(super) fn read<'a>(root: &Value<'a>, readers: Readers) -> Option<MainFile<'a>> {
    let mut mapping = root.mapping()?;
    let mut addresses = ListenAddresses::new(mapping.has("callers"));
    // Read in the order in which error messages list them.
    let (listen, admin_value) = (mapping.optional("listen"), mapping.optional("admin"));
    let has_include = mapping.has("include");
    // Read before, because it leads to other files.
    mapping.optional("include");
    let services = if has_include { mapping.optional("services") } else { mapping.required("services") };
    let services =
        services.map_or_else(|| has_include.then(Vec::new), |value| services_of(&value, has_include));
    // Before every secret.
    let stores = mapping.optional("secret_stores");
    let store_servers = stores.as_ref().map(|value| secret_stores::read(value, readers.stores));
    let shared_store = mapping.optional("shared").map(|value| shared_store::read(&value));
    let credentials = mapping.optional("credentials");
    let via = mapping.optional("via").and_then(|value| value.boolean());
    let shared = Shared {
        credentials: credentials.map_or_else(
            || Credentials::none(readers.kinds),
            |value| Credentials::read(&value, readers.kinds),
        ),
        via: via.unwrap_or_default(),
        has_callers: mapping.has("callers"),
        // With an error in `shared`, which is reported there, no service is wrong for it.
        shares: shared_store.as_ref().map(|read| read.as_ref().is_some_and(|shared| shared.is_default)),
    };
    let listen = self::listen(listen, &mut addresses);
    let admin = admin::read(admin_value, &mut addresses);
    if let Some(value) = mapping.optional("defaults") {
        entry::check_defaults(&value);
    }
    let (callers, roles) = (mapping.optional("callers"), mapping.optional("roles"));
    let audit = mapping.optional("audit").and_then(|value| audit::read(&value));
    let intercept_value = mapping.optional("intercept");
    let intercept = intercept_value.as_ref().and_then(intercept::read);
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
    let config = Config {
        listen,
        admin,
        services: Vec::new(),
        inactive: Vec::new(),
        problems: Vec::new(),
        callers: Vec::new(),
        roles: Vec::new(),
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
        shared: shared_store.flatten(),
        reload,
        upgrade_sock,
        secret_stores: store_servers.unwrap_or_default(),
        hardening: hardening.unwrap_or_default(),
        threads,
        max_connections: max_connections.unwrap_or(DEFAULT_MAX_CONNECTIONS),
        warnings: Vec::new(),
        plain_values: Vec::new(),
        files: Vec::new(),
    };
    let intercept = intercept_value;
    Some(MainFile { config, services: services?, callers, roles, intercept, stores, shared, addresses })
}

/// Reads an included file: its services.
pub(super) fn read_included<'a>(root: &Value<'a>) -> Vec<(&'a str, Value<'a>)> {
    let Some(mut mapping) = root.mapping() else { return Vec::new() };
    let services = mapping.optional("services").and_then(|value| services_of(&value, true));
    if let Some(value) = mapping.optional("defaults") {
        entry::check_defaults(&value);
    }
    mapping.reject_unknown_keys();
    services.unwrap_or_default()
}

fn services_of<'a>(value: &Value<'a>, may_be_empty: bool) -> Option<Vec<(&'a str, Value<'a>)>> {
    let entries = value.entries()?;
    if entries.is_empty() && !may_be_empty {
        value.error("at least one service is required");
        return None;
    }
    Some(entries)
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
