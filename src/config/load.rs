//! From a path or a text to a [`Config`], or to every mistake in it.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::auth::Credentials;
use super::listen::address::Claims;
use super::listen::{admin, intercept, listener, name_constraints};
use super::reader::document;
use super::reader::document::EMPTY;
use super::reader::duration;
use super::reader::error::ConfigError;
use super::reader::interpolate::Environment;
use super::reader::mapping::Table;
use super::reader::report::Report;
use super::reader::resolve::settle;
use super::reader::tree::Kind;
use super::reader::value::Item;
use super::service::entry;
use super::service::entry::Shared;
use super::{
    Config, FileKind, Listen, Listener, Log, Reload, SeenFile, Shutdown, log, reload, state, tracing,
};
use crate::secret::Commands;

/// No configuration is larger; a larger file is somebody's mistake.
const MAX_BYTES: usize = 1024 * 1024;

const MAX_THREADS: usize = 256;

/// More than one app has; few enough for the memory of a small container.
const MAX_CONNECTIONS: usize = 16_384;

impl Config {
    /// Reads a file, and runs its commands.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, &Commands::default())
    }

    /// Reads a file, and runs the commands in it that `commands` has no answer of.
    pub fn load_with(path: &Path, commands: &Commands) -> Result<Self, ConfigError> {
        let seen = SeenFile::look(path, FileKind::Config);
        match Self::load_unseen(path, commands) {
            Ok(mut config) => {
                config.files.push(seen);
                Ok(config)
            }
            Err(error) => Err(error.with_files(vec![seen])),
        }
    }

    fn load_unseen(path: &Path, commands: &Commands) -> Result<Self, ConfigError> {
        Self::parse_all(&text(path)?, &path.display().to_string(), &|name| std::env::var_os(name), commands)
    }

    /// Reads a text; `file` is what mistakes call it.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        Self::parse_with(text, file, &|name| std::env::var_os(name))
    }

    /// Reads a text, environment variables through a function.
    pub fn parse_with(text: &str, file: &str, environment: &Environment<'_>) -> Result<Self, ConfigError> {
        Self::parse_all(text, file, environment, &Commands::default())
    }

    fn parse_all(
        text: &str,
        file: &str,
        environment: &Environment<'_>,
        commands: &Commands,
    ) -> Result<Self, ConfigError> {
        if text.len() > MAX_BYTES {
            return Err(ConfigError::whole(file, TOO_LARGE.into()));
        }
        let mut root = document::parse(text).map_err(|mistakes| ConfigError::new(file, mistakes))?;
        if matches!(root.kind, Kind::Null) {
            return Err(ConfigError::whole(file, EMPTY.into()));
        }
        let report = Report::new(environment, commands);
        settle(&mut root, "", false, &report);
        let config = read(&Item::root(&root, &report));
        let (mistakes, mut warnings, files) = report.into_parts();
        warnings.sort_by_key(|warning| warning.line);
        match config {
            Some(config) if mistakes.is_empty() => Ok(Self { warnings, files, ..config }),
            _ => Err(ConfigError::new(file, mistakes).with_files(files)),
        }
    }
}

/// The text of a file.
pub(super) fn text(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let file = path.display().to_string();
    let refuse = |message: String| ConfigError::whole(&file, message);
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|open| open.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| refuse(format!("cannot read the file: {}", super::secret::plain(&error))))?;
    if bytes.len() > MAX_BYTES {
        return Err(refuse(TOO_LARGE.into()));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        refuse(format!("not UTF-8 text; the first byte that is not stands on line {line}"))
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

const TOO_LARGE: &str = "larger than 1 MiB, which is more than any configuration";

/// Reads the whole file. `None` only with a mistake on the report; `Some` may have one too.
fn read(root: &Item<'_>) -> Option<Config> {
    let mut table = root.table()?;
    // Asked for in the order in which they are listed to the operator.
    let (listen, admin_item) = (table.optional("listen"), table.optional("admin"));
    let services = table.required("services");
    let credentials = table.optional("credentials");
    let mut shared = Shared {
        credentials: credentials.map_or_else(Credentials::default, |item| Credentials::read(&item)),
        claims: Claims::default(),
        hosts: HashMap::new(),
    };
    let listen = self::listen(listen, &mut shared.claims);
    let admin = admin::read(admin_item, &mut shared.claims);
    let services = services.and_then(|item| entry::read_all(&item, &mut shared));
    let intercept_item = table.optional("intercept");
    let intercept = intercept_item.as_ref().and_then(intercept::read);
    if let (Some(item), Some(intercept), Some(services)) = (&intercept_item, &intercept, &services) {
        name_constraints::warn_of_hosts_outside(item, intercept, services);
    }
    let unmatched = intercept::unmatched(&mut table);
    let log = table.optional("log").map_or_else(Log::default, |item| log::read(&item));
    let tracing = table.optional("tracing").and_then(|item| tracing::read(&item));
    let shutdown = shutdown(&mut table);
    let state = table.optional("state").and_then(|item| state::read(&item));
    let reload = table.optional("reload").map_or_else(Reload::default, |item| reload::read(&item));
    let upgrade_sock = table.optional("upgrade_sock").and_then(|item| item.parse(socket_path));
    let threads = threads(&mut table);
    let max_connections = table.optional("max_connections").and_then(|item| item.number(1..=1_000_000));
    let max_connections = max_connections.and_then(|number| usize::try_from(number).ok());
    table.finish();
    shared.credentials.warn_of_unused();
    Some(Config {
        listen,
        admin,
        services: services?,
        intercept,
        unmatched,
        log,
        tracing,
        shutdown,
        state,
        reload,
        upgrade_sock,
        threads,
        max_connections: max_connections.unwrap_or(MAX_CONNECTIONS),
        warnings: Vec::new(),
        files: Vec::new(),
    })
}

/// What `sockaddr_un` takes, with room for what is added while the socket is made.
const LONGEST_SOCKET_PATH: usize = 90;

fn socket_path(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("empty".into()),
        _ if text.contains('\0') => Err("not a path".into()),
        _ if text.len() > LONGEST_SOCKET_PATH => Err(format!(
            "longer than {LONGEST_SOCKET_PATH} bytes, which is more than the path of a socket may have"
        )),
        _ => Ok(PathBuf::from(text)),
    }
}

fn loopback(port: u16) -> Listen {
    Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], port)))
}

fn listen(item: Option<Item<'_>>, claims: &mut Claims) -> Vec<Listener> {
    if let Some(item) = item {
        return listener::read_all(&item, claims);
    }
    let default = loopback(8080);
    claims.claim_default("listen", &default);
    vec![Listener { address: default, tls: None }]
}

fn shutdown(table: &mut Table<'_>) -> Shutdown {
    let default = Shutdown::default();
    let Some(mut table) = table.optional("shutdown").and_then(|item| item.table()) else { return default };
    let drain = table.optional("drain").and_then(|item| duration::any(&item));
    table.finish();
    Shutdown { drain: drain.unwrap_or(default.drain) }
}

fn threads(table: &mut Table<'_>) -> usize {
    let item = table.optional("threads");
    let number = item.and_then(|item| item.number(1..=MAX_THREADS as u64));
    match number.and_then(|number| usize::try_from(number).ok()) {
        Some(number) => number,
        None => std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS),
    }
}
