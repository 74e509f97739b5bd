//! The configuration as the program uses it.

use std::path::PathBuf;

use super::listen::admin::Admin;
use super::listen::intercept::{Intercept, Unmatched};
use super::listen::listener::ListenerConfig;
use super::log::Log;
use super::reader::error::Warning;
use super::reload::Reload;
use super::service::entry::ServiceConfig;
use super::shutdown::Shutdown;
use super::state::State;
use super::tracing::Tracing;
use super::watched_files::WatchedFile;

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
    /// One log line per request.
    pub access_log: bool,
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
