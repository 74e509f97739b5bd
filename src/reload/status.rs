//! The state of reloading, over many reloads.

use std::time::SystemTime;

use crate::secret::StaleSecret;

/// The state of reloading.
#[derive(Debug, Clone)]
pub struct ReloadStatus {
    /// When the configuration in use was read.
    pub last_success: SystemTime,
    /// Why the configuration on disk is not the one in use, if it is not.
    pub failing: Option<ReloadFailure>,
    /// Why certificate files on disk are not those in use, if they are not.
    pub certificates: Option<ReloadFailure>,
    /// The secrets that are in use although their sources fail.
    pub stale_secrets: Vec<StaleSecret>,
}

/// Why what is on disk is not what is in use.
#[derive(Debug, Clone)]
pub struct ReloadFailure {
    /// The cause; no secret, possibly many lines.
    pub error: String,
    /// When it was first seen.
    pub since: SystemTime,
}
