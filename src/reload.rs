//! Change under a running process: the configuration and every file that it names are looked at now and then, and read
//! again when one of them has changed, when a signal says so, or when somebody asks over the admin API.
//!
//! A configuration is validated whole and then taken whole. One that cannot be used changes nothing: what runs goes on,
//! the log says so once, [`Status`] says since when, and it is tried again until it can be used.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::config::{Config, ConfigError, FileKind, SeenFile};
use crate::metrics::ReloadMetrics;
use crate::secret::{Commands, Renewed};

/// A file that has just changed may be half written: it is looked at again after this long, until it rests.
const SETTLE: Duration = Duration::from_millis(100);
/// A file that never rests is read as it is after so many looks.
const LOOKS: u32 = 20;

/// What a configuration is taken by: the running program.
pub trait Target: Send + Sync + 'static {
    /// Takes a configuration whole, or refuses it and changes nothing.
    fn take(&self, config: Config) -> Result<Report, String>;
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
    /// Something else: logging, tracing, draining.
    pub settings: bool,
    /// Keys whose change takes effect at the next start only.
    pub at_next_start: Vec<&'static str>,
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
}

/// The configuration on disk is not the one in use.
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

/// Watches on behalf of a [`Reloader`].
pub struct Watcher {
    requests: mpsc::Receiver<oneshot::Sender<Result<Report, ReloadError>>>,
    status: Arc<Mutex<Status>>,
    metrics: ReloadMetrics,
}

/// A reloader, and the watcher that answers it once it runs.
pub fn new(metrics: ReloadMetrics) -> (Reloader, Watcher) {
    let (sender, requests) = mpsc::channel(1);
    let status = Arc::new(Mutex::new(Status { last_success: SystemTime::now(), failing: None }));
    metrics.in_use();
    (Reloader { requests: sender, status: status.clone() }, Watcher { requests, status, metrics })
}

impl Watcher {
    /// Watches for as long as there is a [`Reloader`]. `seen` and `interval` are those of the configuration in use.
    pub async fn run(
        mut self,
        mut source: Source,
        target: Arc<dyn Target>,
        commands: Arc<Commands>,
        mut seen: Vec<SeenFile>,
        mut interval: Option<Duration>,
    ) {
        loop {
            let reply = tokio::select! {
                request = self.requests.recv() => match request {
                    Some(reply) => Some(reply),
                    None => return,
                },
                () = rest(interval) => None,
                () = rest_until(commands.next_due()) => None,
            };
            let renewed = renew(&commands, reply.is_some()).await;
            if renewed.failed && !renewed.changed {
                self.metrics.secret_reloaded(false);
            }
            // Asked for: what is there now. Otherwise only what has changed and rests.
            let (before, files) = (seen.clone(), seen);
            seen = look(files, reply.is_none()).await;
            let changed: Vec<_> = seen
                .iter()
                .zip(&before)
                .filter(|(now, then)| now != then)
                .map(|(now, _)| now.kind())
                .collect();
            let is_due = reply.is_some() || renewed.changed || !changed.is_empty();
            if !is_due && self.status.lock().failing.is_none() {
                continue;
            }
            let start = Instant::now();
            let read;
            (source, read) = reading(source).await;
            let outcome = match read {
                Ok(config) => {
                    seen.clone_from(&config.files);
                    let next = config.reload.interval;
                    let taken = target.take(config).map_err(ReloadError::Refused);
                    if taken.is_ok() {
                        interval = next;
                    }
                    taken
                }
                Err(error) => {
                    seen = error.files().to_vec();
                    Err(ReloadError::Invalid(error.to_string()))
                }
            };
            if outcome.is_ok() {
                commands.forget_unused();
            }
            let secret_changed = renewed.changed || changed.contains(&FileKind::Secret);
            self.note(&outcome, secret_changed, start.elapsed());
            if let Some(reply) = reply {
                let _ = reply.send(outcome);
            }
        }
    }

    /// One line for each change of state, however often a broken file is read.
    fn note(&self, outcome: &Result<Report, ReloadError>, secret_changed: bool, took: Duration) {
        self.metrics.reloaded(outcome.is_ok());
        if secret_changed {
            self.metrics.secret_reloaded(outcome.is_ok());
        }
        let mut status = self.status.lock();
        match outcome {
            Ok(report) => {
                let mended = status.failing.take().is_some();
                status.last_success = SystemTime::now();
                drop(status);
                log_success(report, mended, took);
            }
            Err(error) => {
                let error = error.to_string();
                let known = status.failing.as_ref().is_some_and(|failing| failing.error == error);
                let since = status.failing.as_ref().map_or_else(SystemTime::now, |failing| failing.since);
                status.failing = Some(Failing { error: error.clone(), since });
                drop(status);
                if !known {
                    tracing::error!(
                        "the configuration was not reloaded, what runs stays as it is; it is tried again: {error}"
                    );
                }
            }
        }
    }
}

fn log_success(report: &Report, mended: bool, took: Duration) {
    for key in &report.at_next_start {
        tracing::warn!(config.path = key, "changed, which takes effect at the next start only");
    }
    let names = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
    if report.is_empty() {
        let message =
            if mended { "the configuration is good again" } else { "configuration read, nothing changed" };
        tracing::info!("{message}");
        return;
    }
    tracing::info!(
        services.added = names(&report.added),
        services.changed = names(&report.changed),
        services.removed = names(&report.removed),
        listeners = names(&report.listeners),
        duration.seconds = took.as_secs_f64(),
        "configuration reloaded"
    );
}

async fn rest(interval: Option<Duration>) {
    match interval {
        Some(interval) => sleep(interval).await,
        None => std::future::pending().await,
    }
}

async fn rest_until(due: Option<Instant>) {
    match due {
        Some(due) => sleep(due.saturating_duration_since(Instant::now())).await,
        None => std::future::pending().await,
    }
}

/// Runs the commands that are due, off the event loop.
async fn renew(commands: &Arc<Commands>, all: bool) -> Renewed {
    let commands = commands.clone();
    let renew = move || commands.renew(all);
    tokio::task::spawn_blocking(renew).await.expect("running a command does not panic")
}

/// Looks at the files; where one has changed and `settle` is set, until they rest. Off the event loop: a file may be on a
/// file system that hangs.
async fn look(files: Vec<SeenFile>, settle: bool) -> Vec<SeenFile> {
    let again = async |files: Vec<SeenFile>| {
        let look = move || files.iter().map(SeenFile::again).collect::<Vec<_>>();
        tokio::task::spawn_blocking(look).await.expect("looking at files does not panic")
    };
    let mut now = again(files.clone()).await;
    if settle && now != files {
        for _ in 0..LOOKS {
            sleep(SETTLE).await;
            let next = again(now.clone()).await;
            if std::mem::replace(&mut now, next.clone()) == next {
                break;
            }
        }
    }
    now
}

async fn reading(mut source: Source) -> (Source, Result<Config, ConfigError>) {
    let read = move || {
        let read = source();
        (source, read)
    };
    tokio::task::spawn_blocking(read).await.expect("reading a configuration does not panic")
}
