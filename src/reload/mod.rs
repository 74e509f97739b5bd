//! Change under a running process: the configuration and every file that it names are looked at now and then, by content,
//! and read again when one of them has changed, when a signal says so, or when somebody asks over the admin API.
//!
//! A configuration is validated whole, with its secrets, and then taken whole. One that cannot be used changes nothing: what
//! runs goes on, the log says so once, [`Status`] says since when, and it is tried again until it can be used.
//!
//! Certificates are made again by themselves: those of one listener or upstream that cannot be used hold up neither others
//! nor the configuration, nor does a mistake in the configuration hold up certificates.

mod certificates;
mod watcher;

use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::config::{Config, ConfigError};
use crate::metrics::ReloadMetrics;
use crate::tls::reloadable::Reloaded;

pub use watcher::Watcher;

/// What a configuration is taken by: the running program.
pub trait Target: Send + Sync + 'static {
    /// Takes a configuration whole, or refuses it and changes nothing.
    fn take(&self, config: Config) -> Result<Report, String>;

    /// Looks at the certificate files in use, takes over those that have changed, and says which did or could not be used.
    fn reload_certificates(&self) -> Vec<Reloaded>;
}

/// What a reload changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Services that were not there before.
    pub added: Vec<String>,
    /// Services that were there and are not as they were.
    pub changed: Vec<String>,
    /// Services that are gone.
    pub removed: Vec<String>,
    /// Listeners opened and closed, as text.
    pub listeners: Vec<String>,
    /// What has new certificates.
    pub certificates: Vec<String>,
    /// Something else: logging, draining, who may do what at the admin address.
    pub settings: bool,
    /// Keys whose change takes effect after a restart only.
    pub restart_required: Vec<&'static str>,
}

impl Report {
    /// Whether everything was as before.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Why what runs is still what ran before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// The configuration has mistakes; the text lists them, without any value.
    #[error("{0}")]
    Invalid(String),
    /// The configuration is good and cannot be taken, such as where an address is in use.
    #[error("{0}")]
    Refused(String),
    /// The process is ending.
    #[error("Sidekey is stopping")]
    Stopping,
}

/// How reloading goes.
#[derive(Debug, Clone)]
pub struct Status {
    /// When the configuration in use was read.
    pub last_success: SystemTime,
    /// What is wrong with the one on disk, and since when, where something is.
    pub failing: Option<Failing>,
    /// What is wrong with certificate files, and since when, where something is; the ones before stay in use.
    pub certificates: Option<Failing>,
}

/// What is on disk is not what is in use.
#[derive(Debug, Clone)]
pub struct Failing {
    /// What is wrong; no secret, possibly many lines.
    pub error: String,
    /// Since when.
    pub since: SystemTime,
}

/// Asks for a reload and knows how the last one went; clones are the same.
#[derive(Clone)]
pub struct Reloader {
    requests: mpsc::Sender<oneshot::Sender<Result<Report, ReloadError>>>,
    status: Arc<Mutex<Status>>,
}

impl Reloader {
    /// Reads the configuration now, changed or not, and says what came of it.
    pub async fn reload_now(&self) -> Result<Report, ReloadError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(reply).await.map_err(|_| ReloadError::Stopping)?;
        answer.await.map_err(|_| ReloadError::Stopping)?
    }

    /// How it goes.
    pub fn status(&self) -> Status {
        self.status.lock().clone()
    }
}

/// Where a configuration comes from.
pub type Source = Box<dyn FnMut() -> Result<Config, ConfigError> + Send>;

/// A reloader, and the watcher that answers it once it runs.
pub fn new(metrics: ReloadMetrics) -> (Reloader, Watcher) {
    let (sender, requests) = mpsc::channel(1);
    let status =
        Arc::new(Mutex::new(Status { last_success: SystemTime::now(), failing: None, certificates: None }));
    metrics.in_use();
    (Reloader { requests: sender, status: status.clone() }, Watcher::new(requests, status, metrics))
}
