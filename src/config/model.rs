//! The configuration as the program uses it.

use std::path::PathBuf;

use super::callers::audit::AuditConfig;
use super::callers::caller::CallerConfig;
use super::callers::role::RoleConfig;
use super::downstream_timeouts::DownstreamTimeouts;
use super::hardening::Hardening;
use super::inactive::{InactiveReason, InactiveService, LastGood, Problem, Subject};
use super::listen::admin::Admin;
use super::listen::intercept::{Intercept, Unmatched};
use super::listen::listener::ListenerConfig;
use super::log::Log;
use super::reader::error::Warning;
use super::reload::Reload;
use super::secret_stores::SecretStoreServers;
use super::service::entry::ServiceConfig;
use super::shared_store::SharedStore;
use super::shutdown::Shutdown;
use super::state::State;
use super::tracing::settings::Tracing;
use super::watched_files::WatchedFile;

/// The configuration, resolved: secrets are read, addresses are parsed, names are unique.
#[derive(Debug, Clone)]
pub struct Config {
    /// Listeners on which callers reach every service by path prefix or `Host`.
    pub listen: Vec<ListenerConfig>,
    /// The admin listener: health, metrics, status page, JSON API.
    pub admin: Admin,
    /// Every service that runs, in the order of the files.
    pub services: Vec<ServiceConfig>,
    /// Every service that does not, in the order of the files.
    pub inactive: Vec<InactiveService>,
    /// The mistakes in services and in included files. The configuration is in use without what has them.
    pub problems: Vec<Problem>,
    /// The CA for answering a `CONNECT` to a service; without it, such a `CONNECT` is rejected.
    pub intercept: Option<Intercept>,
    /// Who may call, in the order of the file; empty: all.
    pub callers: Vec<CallerConfig>,
    /// Which callers may use which services; empty: every caller that is known may use every service.
    pub roles: Vec<RoleConfig>,
    /// Where decisions about requests are recorded, if they are.
    pub audit: Option<AuditConfig>,
    /// How a `CONNECT` to a host of no service is answered.
    pub unmatched: Unmatched,
    /// The origins whose web pages may send requests, as browsers write them.
    pub browser_origins: Vec<String>,
    /// The level and the format of logs.
    pub log: Log,
    /// Whether each request is logged.
    pub access_log: bool,
    /// The export of traces, if enabled.
    pub tracing: Option<Tracing>,
    /// Time limits on callers' connections.
    pub downstream_timeouts: DownstreamTimeouts,
    /// Graceful shutdown.
    pub shutdown: Shutdown,
    /// Detection of changed files.
    pub reload: Reload,
    /// The Unix socket on which a new process receives the listening sockets, if enabled.
    pub upgrade_sock: Option<PathBuf>,
    /// Persistence of refresh tokens, if enabled.
    pub state: Option<State>,
    /// The servers of the stores of secrets.
    pub secret_stores: Vec<SecretStoreServers>,
    /// The store through which a fleet shares tokens, if there is one.
    pub shared: Option<SharedStore>,
    /// Whether the process is restricted.
    pub hardening: Hardening,
    /// Number of worker threads of the data plane; by default one per core.
    pub threads: usize,
    /// Largest number of open connections of callers, on all listeners together.
    pub max_connections: usize,
    /// Settings that are allowed but not recommended, such as a secret in plain text; `check` prints them.
    pub warnings: Vec<Warning>,
    /// The file and the line of each value in plain text that may be a secret, and of which nothing warns: in headers and in
    /// parameters.
    pub plain_values: Vec<(String, usize)>,
    /// Every file that the configuration was read from.
    pub files: Vec<WatchedFile>,
}

impl Config {
    /// Why the service of that name does not run, if there is one that does not.
    pub fn why_inactive(&self, name: &str) -> Option<String> {
        let service = self.inactive.iter().find(|service| service.name == name)?;
        let is_of = |problem: &&Problem| problem.subject == Subject::Service(name.to_owned());
        Some(match (service.reason, self.problems.iter().find(is_of)) {
            (InactiveReason::Disabled, _) => format!("the service `{name}` is disabled (`enabled: false`)"),
            (InactiveReason::AwaitsStore, problem) => {
                let errors = problem.map(ToString::to_string).unwrap_or_default();
                format!("the service `{name}` waits for a store of secrets:\n{errors}")
            }
            (InactiveReason::Misconfigured, problem) => {
                let errors = problem.map(ToString::to_string).unwrap_or_default();
                format!("the configuration of the service `{name}` has a mistake:\n{errors}")
            }
        })
    }

    /// Whether a service is held back by nothing but a store of secrets that does not answer.
    pub(super) fn is_waiting_for_a_store(&self) -> bool {
        self.inactive.iter().any(|service| service.reason == InactiveReason::AwaitsStore)
    }

    /// What a reload keeps of it.
    pub fn last_good(&self) -> LastGood {
        LastGood {
            services: self.services.clone(),
            inactive: self.inactive.clone(),
            files: self.files.clone(),
        }
    }
}
