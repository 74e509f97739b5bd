//! What of a configuration is not in use, and why.

use std::collections::HashMap;
use std::fmt;

use super::reader::error::Diagnostic;
use super::service::entry::{Origin, Place, ServiceConfig};
use super::service::labels::Labels;
use super::service::readiness::Readiness;
use super::watched_files::WatchedFile;

/// A service that is configured and does not run. It keeps its place among the routes, so that a request for it leads to no other
/// service and to no other host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InactiveService {
    /// The key under `services`.
    pub name: String,
    /// Why it does not run.
    pub reason: InactiveReason,
    /// The kind of its credential, if it could be read.
    pub kind: Option<&'static str>,
    /// How requests find it, as far as that could be read.
    pub place: Place,
    /// Whether readiness depends on it.
    pub readiness: Readiness,
    /// Labels of `sidekey_service_info`.
    pub labels: Labels,
    /// The number of services that stand before it and run.
    pub position: usize,
    /// The file that it stands in.
    pub origin: Origin,
}

/// Why a service does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InactiveReason {
    /// Its configuration has a mistake, or its secret cannot be read.
    Misconfigured,
    /// Nothing is wrong but that the store of a secret of it does not answer. It is tried again.
    AwaitsStore,
    /// `enabled: false`
    Disabled,
}

/// A mistake that does not concern the whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What has the mistake.
    pub subject: Subject,
    /// What follows from it.
    pub effect: Effect,
    /// Every error, at least one; no value of the file.
    pub errors: Vec<Diagnostic>,
}

/// What has a mistake.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The service of this name.
    Service(String),
    /// An included file as a whole.
    File(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) | Self::File(name) => f.write_str(name),
        }
    }
}

/// What follows from a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The service does not run; of a file, no service that did not run before.
    HeldBack,
    /// What ran before runs with its previous settings.
    PreviousSettings,
}

impl fmt::Display for Problem {
    /// Every error, one on each line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            write!(f, "{}{error}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// The services of the configuration in use. A reload keeps those of them whose new settings cannot be used.
#[derive(Debug, Clone, Default)]
pub struct LastGood {
    /// Services that run.
    pub services: Vec<ServiceConfig>,
    /// Services that do not.
    pub inactive: Vec<InactiveService>,
    /// The files behind them.
    pub files: Vec<WatchedFile>,
}

impl LastGood {
    /// The services that run, by name.
    pub(super) fn by_name(&self) -> HashMap<&str, &ServiceConfig> {
        self.services.iter().map(|service| (service.name.as_str(), service)).collect()
    }
}
