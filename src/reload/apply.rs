//! What applies a configuration.

use super::outcome::ReloadReport;
use crate::config::{Config, LastGood};
use crate::tls::reloadable::Reloaded;

/// Applies configurations: the running program.
pub trait ApplyConfig: Send + Sync + 'static {
    /// Applies a configuration as a whole, or rejects it and changes nothing.
    fn apply(&self, config: Config) -> Result<ReloadReport, String>;

    /// What runs, for the services that a new configuration has mistakes in.
    fn last_good(&self) -> LastGood;

    /// Reads the certificate files in use again. Returns those that have changed, and those that cannot be used.
    fn reload_certificates(&self) -> Vec<Reloaded>;
}
