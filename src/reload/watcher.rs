//! The loop that compares files and reads the configuration.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::apply::ApplyConfig;
use super::certificates::Certificates;
use super::outcome::{ReloadError, ReloadReport};
use super::status::{ReloadFailure, ReloadStatus};
use crate::config::{Config, ConfigError, FileKind, LastGood, Problem, WatchedFile};
use crate::metrics::ReloadMetrics;
use crate::secret::{RefreshOutcome, SecretCache};

/// A file that has just changed may be half written: it is compared again after this time, until it no longer changes.
const SETTLE_INTERVAL: Duration = Duration::from_millis(100);
/// A file that still changes after this number of comparisons is read as it is.
const MAX_SETTLE_CHECKS: u32 = 20;

type Reply = oneshot::Sender<Result<ReloadReport, ReloadError>>;

/// Reads a configuration. Services with a mistake keep the settings with which they run.
pub type ConfigSource = Box<dyn FnMut(&LastGood) -> Result<Config, ConfigError> + Send>;

/// What is watched of the configuration in use.
pub struct InUse {
    /// The files behind it.
    files: Vec<WatchedFile>,
    /// Time between two comparisons.
    interval: Option<Duration>,
    /// The mistakes in it. What has one is read again at every comparison, because a command may give a secret now.
    problems: Vec<Problem>,
}

impl InUse {
    /// What is watched of a configuration.
    pub fn of(config: &Config) -> Self {
        let (files, interval) = (config.files.clone(), config.reload.interval);
        Self { files, interval, problems: config.problems.clone() }
    }
}

/// Watches files, and carries out the requests of a [`Reloader`](super::Reloader).
pub struct Watcher {
    requests: mpsc::Receiver<Reply>,
    status: Arc<Mutex<ReloadStatus>>,
    metrics: ReloadMetrics,
    certificates: Certificates,
}

impl Watcher {
    pub(super) fn new(
        requests: mpsc::Receiver<Reply>,
        status: Arc<Mutex<ReloadStatus>>,
        metrics: ReloadMetrics,
    ) -> Self {
        let certificates = Certificates::new(status.clone(), metrics.clone());
        Self { requests, status, metrics, certificates }
    }

    /// Watches until no [`Reloader`](super::Reloader) is left. `in_use` is the configuration in use.
    pub async fn run(
        mut self,
        mut source: ConfigSource,
        target: Arc<dyn ApplyConfig>,
        secrets: Arc<SecretCache>,
        in_use: InUse,
    ) {
        let InUse { files: mut seen, mut interval, mut problems } = in_use;
        loop {
            let reply = tokio::select! {
                request = self.requests.recv() => match request {
                    Some(reply) => Some(reply),
                    None => return,
                },
                () = sleep_for(interval) => None,
                () = sleep_until(secrets.next_due()) => None,
            };
            let refreshed = refresh(&secrets, reply.is_some()).await;
            self.note_stale(&secrets);
            if refreshed.failed && !refreshed.changed {
                self.metrics.secret_reloaded(false);
            }
            // A request reads what is there now. Otherwise a file is read once it no longer changes.
            let before;
            (before, seen) = compare(seen, reply.is_none()).await;
            let changed: Vec<_> = seen
                .iter()
                .zip(&before)
                .filter(|(now, then)| now != then)
                .map(|(now, _)| now.kind())
                .collect();
            let config_changed = changed.iter().any(|kind| *kind != FileKind::Certificate);
            let is_due = reply.is_some() || refreshed.changed || config_changed;
            let is_retry = !is_due && !problems.is_empty();
            if !is_due && !is_retry && self.status.lock().failing.is_none() {
                if !changed.is_empty() || self.certificates.is_failing() {
                    self.certificates.reload(&target).await;
                }
                continue;
            }
            let start = Instant::now();
            let read;
            secrets.mark_unused();
            (source, read) = read_config(source, target.last_good()).await;
            let has_same_problems = |config: &Config| config.problems == problems;
            if is_retry && self.status.lock().failing.is_none() && read.as_ref().is_ok_and(has_same_problems)
            {
                self.metrics.reloaded(false);
                self.certificates.reload(&target).await;
                continue;
            }
            let had_problems = !problems.is_empty();
            let mut outcome = match read {
                Ok(config) => {
                    seen.clone_from(&config.files);
                    let (next, mistakes) = (config.reload.interval, config.problems.clone());
                    let applied = target.apply(config).map_err(ReloadError::Rejected);
                    if applied.is_ok() {
                        interval = next;
                        problems = mistakes;
                    }
                    applied
                }
                Err(error) => {
                    // The certificate files in use are watched whatever is on disk.
                    let certificates = seen.into_iter().filter(|file| file.kind() == FileKind::Certificate);
                    seen = WatchedFile::union(error.files().to_vec(), certificates);
                    Err(ReloadError::Invalid(error.to_string()))
                }
            };
            let is_sure = outcome.is_ok() && problems.is_empty() && !self.certificates.is_failing();
            let certificates = if is_sure && WatchedFile::has_all(&before, &seen, FileKind::Certificate) {
                // A configuration without a mistake, and the certificate files of the one before.
                Vec::new()
            } else {
                self.certificates.reload(&target).await
            };
            if let Ok(report) = &mut outcome {
                report.certificates = certificates;
                // A service that runs with its previous settings uses secrets that were not read now.
                if report.is_complete() {
                    evict_unused(&secrets).await;
                }
            }
            let secret_changed = refreshed.changed || changed.contains(&FileKind::Secret);
            self.record(&outcome, had_problems, secret_changed, start.elapsed());
            if let Some(reply) = reply {
                let _ = reply.send(outcome);
            }
        }
    }

    /// Shows which secrets are in use although their sources fail.
    fn note_stale(&self, secrets: &SecretCache) {
        let stale = secrets.stale();
        self.metrics.secrets_stale(&stale.iter().map(|secret| secret.since).collect::<Vec<_>>());
        self.status.lock().stale_secrets = stale;
    }

    /// Updates metrics and status, and logs each change of state once, however often an invalid file is read.
    fn record(
        &self,
        outcome: &Result<ReloadReport, ReloadError>,
        had_problems: bool,
        secret_changed: bool,
        took: Duration,
    ) {
        let is_complete = outcome.as_ref().is_ok_and(ReloadReport::is_complete);
        self.metrics.reloaded(is_complete);
        if secret_changed {
            self.metrics.secret_reloaded(is_complete);
        }
        let mut status = self.status.lock();
        match outcome {
            Ok(report) => {
                let is_recovery = status.failing.take().is_some() || had_problems;
                status.last_success = SystemTime::now();
                drop(status);
                log_success(report, is_recovery, took);
            }
            Err(error) => {
                let error = error.to_string();
                let known = status.failing.as_ref().is_some_and(|failing| failing.error == error);
                let since = status.failing.as_ref().map_or_else(SystemTime::now, |failing| failing.since);
                status.failing = Some(ReloadFailure { error: error.clone(), since });
                drop(status);
                if !known {
                    tracing::error!(
                        "configuration reload rejected, the one in use stays and the changed one is tried again: {error}"
                    );
                }
            }
        }
    }
}

fn log_success(report: &ReloadReport, is_recovery: bool, took: Duration) {
    for key in &report.restart_required {
        tracing::warn!(config.path = key, "changed; takes effect after a restart");
    }
    let names = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
    if report.is_empty() {
        if is_recovery {
            tracing::info!("configuration is valid again");
        } else {
            tracing::info!("configuration read, nothing changed");
        }
        return;
    }
    tracing::info!(
        services.added = names(&report.added),
        services.changed = names(&report.changed),
        services.removed = names(&report.removed),
        misconfigured =
            names(&report.problems.iter().map(|(subject, _)| subject.clone()).collect::<Vec<_>>()),
        listeners = names(&report.listeners),
        certificates = names(&report.certificates),
        reload.duration_s = took.as_secs_f64(),
        "configuration reloaded"
    );
}

/// Sleeps for an interval; without one, forever.
async fn sleep_for(interval: Option<Duration>) {
    match interval {
        Some(interval) => sleep(interval).await,
        None => std::future::pending().await,
    }
}

/// Sleeps until a time; without one, forever.
async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Removes what is not used any more, off the event loop: a lease may have to be ended.
async fn evict_unused(secrets: &Arc<SecretCache>) {
    let secrets = secrets.clone();
    let evict = move || secrets.evict_unused();
    tokio::task::spawn_blocking(evict).await.expect("removing secrets does not panic");
}

/// Fetches the secrets that are due, off the event loop.
async fn refresh(secrets: &Arc<SecretCache>, all: bool) -> RefreshOutcome {
    let secrets = secrets.clone();
    let refresh = move || secrets.refresh(all);
    tokio::task::spawn_blocking(refresh).await.expect("fetching a secret does not panic")
}

/// Compares the files; if one has changed and `settle` is set, until they no longer change. Returns what was seen before and
/// what is there now. Runs off the event loop: a file may be on a file system that hangs.
async fn compare(files: Vec<WatchedFile>, settle: bool) -> (Vec<WatchedFile>, Vec<WatchedFile>) {
    let rescan = async |files: Vec<WatchedFile>| {
        let rescan = move || WatchedFile::rescan_all(&files);
        tokio::task::spawn_blocking(rescan).await.expect("comparing files does not panic")
    };
    let mut now = rescan(files.clone()).await;
    if settle && now != files {
        for _ in 0..MAX_SETTLE_CHECKS {
            sleep(SETTLE_INTERVAL).await;
            let next = rescan(now.clone()).await;
            if std::mem::replace(&mut now, next.clone()) == next {
                break;
            }
        }
    }
    (files, now)
}

async fn read_config(
    mut source: ConfigSource,
    last_good: LastGood,
) -> (ConfigSource, Result<Config, ConfigError>) {
    let read = move || {
        let read = source(&last_good);
        (source, read)
    };
    tokio::task::spawn_blocking(read).await.expect("reading a configuration does not panic")
}
