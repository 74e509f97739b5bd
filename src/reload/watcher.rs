//! The one loop that looks at files.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::certificates::Certificates;
use super::{Failing, ReloadError, Report, Source, Status, Target};
use crate::config::{Config, ConfigError, FileKind, WatchedFile};
use crate::metrics::ReloadMetrics;
use crate::secret::{CommandCache, RefreshOutcome};

/// A file that has just changed may be half written: it is looked at again after this long, until it rests.
const SETTLE: Duration = Duration::from_millis(100);
/// A file that never rests is read as it is after so many looks.
const LOOKS: u32 = 20;

type Reply = oneshot::Sender<Result<Report, ReloadError>>;

/// Watches on behalf of a [`Reloader`](super::Reloader).
pub struct Watcher {
    requests: mpsc::Receiver<Reply>,
    status: Arc<Mutex<Status>>,
    metrics: ReloadMetrics,
    certificates: Certificates,
}

impl Watcher {
    pub(super) fn new(
        requests: mpsc::Receiver<Reply>,
        status: Arc<Mutex<Status>>,
        metrics: ReloadMetrics,
    ) -> Self {
        let certificates = Certificates::new(status.clone(), metrics.clone());
        Self { requests, status, metrics, certificates }
    }

    /// Watches for as long as there is a [`Reloader`](super::Reloader). `seen` and `interval` are those of the configuration
    /// in use.
    pub async fn run(
        mut self,
        mut source: Source,
        target: Arc<dyn Target>,
        commands: Arc<CommandCache>,
        mut seen: Vec<WatchedFile>,
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
            let before;
            (before, seen) = look(seen, reply.is_none()).await;
            let changed: Vec<_> = seen
                .iter()
                .zip(&before)
                .filter(|(now, then)| now != then)
                .map(|(now, _)| now.kind())
                .collect();
            let config_changed = changed.iter().any(|kind| *kind != FileKind::Certificate);
            let is_due = reply.is_some() || renewed.changed || config_changed;
            if !is_due && self.status.lock().failing.is_none() {
                if !changed.is_empty() || self.certificates.are_wrong() {
                    self.certificates.renew(&target).await;
                }
                continue;
            }
            let start = Instant::now();
            let read;
            (source, read) = reading(source).await;
            let mut outcome = match read {
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
                    // Those in use are watched whatever the configuration on disk is like.
                    let certificates = seen.into_iter().filter(|file| file.kind() == FileKind::Certificate);
                    seen = WatchedFile::union(error.files().to_vec(), certificates);
                    Err(ReloadError::Invalid(error.to_string()))
                }
            };
            let certificates = self.certificates.renew(&target).await;
            if let Ok(report) = &mut outcome {
                report.certificates = certificates;
                commands.evict_unused();
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
                        "configuration reload rejected, the one in use stays and the changed one is tried again: {error}"
                    );
                }
            }
        }
    }
}

fn log_success(report: &Report, mended: bool, took: Duration) {
    for key in &report.restart_required {
        tracing::warn!(config.path = key, "changed; takes effect after a restart");
    }
    let names = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
    if report.is_empty() {
        if mended {
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
        listeners = names(&report.listeners),
        certificates = names(&report.certificates),
        reload.duration_s = took.as_secs_f64(),
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
async fn renew(commands: &Arc<CommandCache>, all: bool) -> RefreshOutcome {
    let commands = commands.clone();
    let renew = move || commands.refresh(all);
    tokio::task::spawn_blocking(renew).await.expect("running a command does not panic")
}

/// Looks at the files; where one has changed and `settle` is set, until they rest. What was seen before, and what is now. Off
/// the event loop: a file may be on a file system that hangs.
async fn look(files: Vec<WatchedFile>, settle: bool) -> (Vec<WatchedFile>, Vec<WatchedFile>) {
    let again = async |files: Vec<WatchedFile>| {
        let look = move || files.iter().map(WatchedFile::rescan).collect::<Vec<_>>();
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
    (files, now)
}

async fn reading(mut source: Source) -> (Source, Result<Config, ConfigError>) {
    let read = move || {
        let read = source();
        (source, read)
    };
    tokio::task::spawn_blocking(read).await.expect("reading a configuration does not panic")
}
