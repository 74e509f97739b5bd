//! What applies a configuration.

use crate::config::Config;
use crate::tls::reloadable::Reloaded;

/// Applies configurations: the running program.
pub trait ApplyConfig: Send + Sync + 'static {
    /// Applies a configuration as a whole, or rejects it and changes nothing.
    fn apply(&self, config: Config) -> Result<ReloadReport, String>;

    /// Reads the certificate files in use again. Returns those that have changed, and those that cannot be used.
    fn reload_certificates(&self) -> Vec<Reloaded>;
}

/// The changes that a reload made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReloadReport {
    /// New services.
    pub added: Vec<String>,
    /// Services whose configuration has changed.
    pub changed: Vec<String>,
    /// Removed services.
    pub removed: Vec<String>,
    /// Listeners opened and closed, as text.
    pub listeners: Vec<String>,
    /// What has new certificates.
    pub certificates: Vec<String>,
    /// Whether other settings have changed: logging, draining, access to the admin listener.
    pub settings: bool,
    /// Changed keys that take effect after a restart only.
    pub restart_required: Vec<&'static str>,
}

impl ReloadReport {
    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
