//! The handle of reloading.

use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::apply::ReloadReport;
use super::watcher::Watcher;
use crate::metrics::ReloadMetrics;

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

/// The state of reloading.
#[derive(Debug, Clone)]
pub struct ReloadStatus {
    /// When the configuration in use was read.
    pub last_success: SystemTime,
    /// Why the configuration on disk is not the one in use, if it is not.
    pub failing: Option<ReloadFailure>,
    /// Why certificate files on disk are not those in use, if they are not.
    pub certificates: Option<ReloadFailure>,
}

/// Why what is on disk is not what is in use.
#[derive(Debug, Clone)]
pub struct ReloadFailure {
    /// The cause; no secret, possibly many lines.
    pub error: String,
    /// When it was first seen.
    pub since: SystemTime,
}

/// Requests reloads, and knows the outcome of the last one; clones share it.
#[derive(Clone)]
pub struct Reloader {
    requests: mpsc::Sender<oneshot::Sender<Result<ReloadReport, ReloadError>>>,
    status: Arc<Mutex<ReloadStatus>>,
}

impl Reloader {
    /// Reads the configuration now, whether it has changed or not.
    pub async fn reload_now(&self) -> Result<ReloadReport, ReloadError> {
        let (reply, outcome) = oneshot::channel();
        self.requests.send(reply).await.map_err(|_| ReloadError::Stopping)?;
        outcome.await.map_err(|_| ReloadError::Stopping)?
    }

    /// The state of reloading.
    pub fn status(&self) -> ReloadStatus {
        self.status.lock().clone()
    }
}

/// A reloader, and the watcher that carries out its requests once it runs.
pub fn new(metrics: ReloadMetrics) -> (Reloader, Watcher) {
    let (sender, requests) = mpsc::channel(1);
    let status = ReloadStatus { last_success: SystemTime::now(), failing: None, certificates: None };
    let status = Arc::new(Mutex::new(status));
    metrics.in_use();
    (Reloader { requests: sender, status: status.clone() }, Watcher::new(requests, status, metrics))
}
