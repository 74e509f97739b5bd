//! The queue of the audit log, and the thread that writes it. A request never waits for a disk.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use prometheus::{IntCounterVec, Opts, Registry};

use super::event::Event;
use super::output::Output;
use crate::config::AuditConfig;

/// Lines in the queue at most: a second of a busy proxy.
const MAX_QUEUED: usize = 8192;

/// Bytes that are written at once at most.
const MAX_BATCH: usize = 256 * 1024;

/// How often the log says that lines are lost.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The audit log of a configuration. When it is dropped, its thread ends after the lines that are queued.
pub struct AuditLog {
    config: AuditConfig,
    queue: SyncSender<Message>,
    metrics: AuditMetrics,
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
        let output = Output::open(config.path.as_deref())?;
        let (queue, lines) = sync_channel(MAX_QUEUED);
        let writer = Writer { path: config.path.clone(), output, metrics: metrics.clone(), logged: None };
        thread::Builder::new().name("sidekey-audit".into()).spawn(move || writer.run(&lines))?;
        Ok(Self { config: config.clone(), queue, metrics })
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
        let line = Message::Line(event.line(SystemTime::now()));
        if matches!(self.queue.try_send(line), Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) {
            self.metrics.count("lost", 1);
        }
    }

    /// Opens the file again, because it may have been renamed.
    pub fn reopen(&self) {
        // With a full queue the file is opened by the next reload.
        let _ = self.queue.try_send(Message::Reopen);
    }

    /// Waits until what was recorded so far is written, for `limit` at most.
    pub fn flush(&self, limit: Duration) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(limit);
        }
    }
}

struct Writer {
    path: Option<PathBuf>,
    output: Output,
    metrics: AuditMetrics,
    /// When the log last said that lines are lost.
    logged: Option<Instant>,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Message>) {
        let mut batch = Vec::new();
        while let Ok(first) = queue.recv() {
            let mut lines = 0;
            let mut next = Some(first);
            let mut waiting = Vec::new();
            while let Some(message) = next {
                match message {
                    Message::Line(line) => {
                        batch.extend_from_slice(line.as_bytes());
                        lines += 1;
                    }
                    Message::Reopen => {
                        self.write(&mut batch, &mut lines);
                        self.open_again();
                    }
                    Message::Flush(done) => waiting.push(done),
                }
                next = if batch.len() < MAX_BATCH { queue.try_recv().ok() } else { None };
            }
            self.write(&mut batch, &mut lines);
            for done in waiting {
                let _ = done.try_send(());
            }
        }
    }

    fn write(&mut self, batch: &mut Vec<u8>, lines: &mut u64) {
        if batch.is_empty() {
            return;
        }
        match self.output.write(batch) {
            Ok(()) => self.metrics.count("written", *lines),
            Err(error) => {
                self.metrics.count("lost", *lines);
                if self.may_log() {
                    tracing::error!(error = %error, "lines of the audit log are lost");
                }
            }
        }
        batch.clear();
        *lines = 0;
    }

    fn open_again(&mut self) {
        match Output::open(self.path.as_deref()) {
            Ok(output) => self.output = output,
            Err(error) => tracing::error!(error = %error, "the audit log cannot be opened again"),
        }
    }

    /// Whether it is time to say again that lines are lost.
    fn may_log(&mut self) -> bool {
        let is_due = self.logged.is_none_or(|logged| logged.elapsed() > LOG_INTERVAL);
        if is_due {
            self.logged = Some(Instant::now());
        }
        is_due
    }
}
