//! The handle of reloading.

use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::outcome::{ReloadError, ReloadReport};
use super::status::ReloadStatus;
use super::watcher::Watcher;
use crate::metrics::ReloadMetrics;

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

/// A reloader, and the watcher that carries out its requests once it runs. `is_complete` says whether all of the configuration on
/// disk is in use.
pub fn new(metrics: ReloadMetrics, is_complete: bool) -> (Reloader, Watcher) {
    let (sender, requests) = mpsc::channel(1);
    let (last_success, stale_secrets) = (SystemTime::now(), Vec::new());
    let status = ReloadStatus { last_success, failing: None, certificates: None, stale_secrets };
    let status = Arc::new(Mutex::new(status));
    metrics.started(is_complete);
    (Reloader { requests: sender, status: status.clone() }, Watcher::new(requests, status, metrics))
}
