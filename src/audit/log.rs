//! The queue of the audit log, and the thread that writes it. A request never waits for a disk.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use prometheus::{IntCounterVec, Opts, Registry};

use super::event::Event;
use super::output::Output;
use crate::config::AuditConfig;
use crate::net::deadline::{AtomicDeadline, Tick};

/// Lines in the queue at most: a second of a busy proxy.
const MAX_QUEUED: usize = 8192;

/// Bytes that are written at once at most.
const MAX_BATCH: usize = 256 * 1024;

/// How often the log says that lines are lost.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// How often a flush looks for room in a full queue.
const FLUSH_INTERVAL: Duration = Duration::from_millis(10);

/// The audit log of a configuration. When it is dropped, its thread ends after the lines that are queued.
pub struct AuditLog {
    config: AuditConfig,
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

/// What requests and the thread share.
struct Shared {
    metrics: AuditMetrics,
    /// Whether the file is to be opened again before the next line. Set if the queue has no room for [`Message::Reopen`].
    must_reopen: AtomicBool,
    /// When the log may say again that lines are lost.
    log_again_at: AtomicDeadline,
}

impl Shared {
    /// Counts lines that are lost. The log says so, but not each time.
    fn lost(&self, lines: u64, cause: impl Display) {
        self.metrics.count("lost", lines);
        if self.log_again_at.try_restart(Tick::now(), LOG_INTERVAL) {
            tracing::error!(error = %cause, "lines of the audit log are lost");
        }
    }
}

enum Message {
    Line(String),
    /// Opens the file again: it may have been renamed.
    Reopen,
    /// Answers when every line before it is written.
    Flush(SyncSender<()>),
}

/// The series of the audit log.
#[derive(Clone)]
pub struct AuditMetrics(IntCounterVec);

impl AuditMetrics {
    /// Registers the series.
    ///
    /// # Errors
    ///
    /// If there is another one of that name.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let opts = Opts::new(
            "sidekey_audit_lines_total",
            "Lines of the audit log, by result (written; lost: the queue was full, or the file cannot be written).",
        );
        let total = IntCounterVec::new(opts, &["result"])?;
        for result in ["written", "lost"] {
            total.with_label_values(&[result]).inc_by(0);
        }
        registry.register(Box::new(total.clone()))?;
        Ok(Self(total))
    }

    fn count(&self, result: &str, lines: u64) {
        self.0.with_label_values(&[result]).inc_by(lines);
    }
}

impl AuditLog {
    /// Opens the file, and starts the thread.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn open(config: &AuditConfig, metrics: AuditMetrics) -> io::Result<Self> {
        Self::start(config, Output::open(config.path.as_deref())?, metrics)
    }

    fn start(config: &AuditConfig, output: Output, metrics: AuditMetrics) -> io::Result<Self> {
        let (queue, lines) = sync_channel(MAX_QUEUED);
        let must_reopen = AtomicBool::new(false);
        let shared = Arc::new(Shared { metrics, must_reopen, log_again_at: AtomicDeadline::off() });
        let writer = Writer { path: config.path.clone(), output, shared: shared.clone(), is_cut: false };
        thread::Builder::new().name("sidekey-audit".into()).spawn(move || writer.run(&lines))?;
        Ok(Self { config: config.clone(), queue, shared })
    }

    /// Whether it is that of a configuration.
    pub fn is_of(&self, config: &AuditConfig) -> bool {
        self.config == *config
    }

    /// Whether requests that are allowed are recorded as well.
    pub fn records_allowed(&self) -> bool {
        self.config.all
    }

    /// Records a decision. Without room in the queue it is counted as lost.
    pub fn record(&self, event: &Event<'_>) {
        if event.refused.is_none() && !self.config.all {
            return;
        }
        if self.queue.try_send(Message::Line(event.line(SystemTime::now()))).is_err() {
            self.shared.lost(1, "the queue is full: the lines are written more slowly than they come");
        }
    }

    /// Opens the file again, because it may have been renamed.
    pub fn reopen(&self) {
        if self.queue.try_send(Message::Reopen).is_err() {
            self.shared.must_reopen.store(true, Ordering::Release);
        }
    }

    /// Waits until what was recorded so far is written, for `limit` at most.
    pub fn flush(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let (done, written) = sync_channel(1);
        while self.queue.try_send(Message::Flush(done.clone())).is_err() {
            if Instant::now() >= end {
                return;
            }
            thread::sleep(FLUSH_INTERVAL);
        }
        let _ = written.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

struct Writer {
    path: Option<PathBuf>,
    output: Output,
    shared: Arc<Shared>,
    /// Whether the last line in the file lacks its end.
    is_cut: bool,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Message>) {
        let mut batch = Vec::new();
        while let Ok(first) = queue.recv() {
            if self.shared.must_reopen.swap(false, Ordering::AcqRel) {
                self.open_again();
            }
            let mut next = Some(first);
            let mut waiting = Vec::new();
            while let Some(message) = next {
                match message {
                    Message::Line(line) => batch.extend_from_slice(line.as_bytes()),
                    Message::Reopen => {
                        self.write(&mut batch);
                        self.open_again();
                    }
                    Message::Flush(done) => waiting.push(done),
                }
                next = if batch.len() < MAX_BATCH { queue.try_recv().ok() } else { None };
            }
            self.write(&mut batch);
            for done in waiting {
                let _ = done.try_send(());
            }
        }
    }

    /// Writes whole lines. A line that was cut before is ended first, so that it is no part of another one.
    fn write(&mut self, batch: &mut Vec<u8>) {
        if batch.is_empty() {
            return;
        }
        if self.is_cut {
            if let (_, Err(error)) = self.output.write(b"\n") {
                self.shared.lost(lines(batch), error);
                return batch.clear();
            }
            self.is_cut = false;
        }
        let (length, outcome) = self.output.write(batch);
        let (written, rest) = batch.split_at(length);
        self.shared.metrics.count("written", lines(written));
        if let Err(error) = outcome {
            self.is_cut = written.last().is_some_and(|last| *last != b'\n');
            self.shared.lost(lines(rest), error);
        }
        batch.clear();
    }

    fn open_again(&mut self) {
        match Output::open(self.path.as_deref()) {
            // `is_cut` stays: it may be the same file.
            Ok(output) => self.output = output,
            Err(error) => tracing::error!(error = %error, "the audit log cannot be opened again"),
        }
    }
}

/// The number of lines that end in these bytes.
fn lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests;
