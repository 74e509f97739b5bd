//! The outcome of one reload.

/// The changes that a reload made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReloadReport {
    /// New services.
    pub added: Vec<String>,
    /// Services whose configuration has changed.
    pub changed: Vec<String>,
    /// Removed services.
    pub removed: Vec<String>,
    /// The mistakes in services and in included files, which are held back or run with their previous settings: what has the
    /// mistake, and the text of its errors.
    pub problems: Vec<(String, String)>,
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
    /// Whether the configuration on disk is in use with all that it has.
    pub fn is_complete(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a reload changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// The configuration has errors; the text lists them, without any value.
    #[error("{0}")]
    Invalid(String),
    /// The configuration is valid and cannot be applied, for example because an address is in use.
    #[error("{0}")]
    Rejected(String),
    /// The process is ending.
    #[error("Sidekey is stopping")]
    Stopping,
}
