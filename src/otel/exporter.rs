//! The task that empties the queue: a batch every few seconds, or as soon as there is one. A collector that is slow, hangs or
//! refuses holds up this task and nothing else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::collector::{Collector, Failure};
use super::encode;
use super::span::Span;
use super::tracer::{BATCH, Queued, Tracer};
use crate::metrics::TraceMetrics;

/// A batch is tried so often; meanwhile the queue fills.
const ATTEMPTS: u32 = 5;
/// Between two tries, before jitter; doubled with each failure.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The exports of one tracer. They go on by themselves until nobody holds the tracer any more, or until they are ended.
pub struct Export {
    ending: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Export {
    /// Starts, on the current tokio runtime. `resource` says whose spans they are, and a span waits for
    /// `interval` at most.
    pub fn start(
        sample_ratio: f64,
        resource: Vec<(String, String)>,
        interval: Duration,
        collector: Collector,
        metrics: &TraceMetrics,
    ) -> (Arc<Tracer>, Self) {
        let (tracer, queued) = Tracer::new(sample_ratio, metrics.clone());
        let (ending, is_ending) = watch::channel(false);
        let metrics = metrics.clone();
        let exporter = Exporter { collector, resource, interval, metrics, is_ending, failures: 0 };
        let task = tokio::spawn(exporter.run(queued));
        (Arc::new(tracer), Self { ending, task })
    }

    /// Whether the tracer is gone and all that it recorded was exported.
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Exports what has been recorded, without another try, within this time.
    pub async fn end(self, limit: Duration) {
        let Self { mut task, ending } = self;
        let _ = ending.send(true);
        if timeout(limit, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("the last spans could not be exported in time");
        }
    }
}

struct Exporter {
    collector: Collector,
    resource: Vec<(String, String)>,
    /// A span waits for this long at most, where the collector takes what it is sent.
    interval: Duration,
    metrics: TraceMetrics,
    is_ending: watch::Receiver<bool>,
    /// Exports that failed since the last that did not.
    failures: u32,
}

impl Exporter {
    async fn run(mut self, mut queued: Queued) {
        loop {
            tokio::select! {
                () = sleep(self.interval) => {}
                () = queued.due.notified() => {}
                () = ended(&mut self.is_ending) => {}
            }
            // Looked at before the queue: what comes after that was recorded too late.
            let is_last = self.is_ending();
            loop {
                let (batch, is_orphaned) = next(&mut queued);
                let is_whole = batch.len() == BATCH;
                if !batch.is_empty() {
                    self.export(&batch).await;
                }
                if is_orphaned {
                    return;
                }
                if !is_whole {
                    break;
                }
            }
            if is_last {
                return;
            }
        }
    }

    fn is_ending(&self) -> bool {
        *self.is_ending.borrow()
    }

    /// Sends a batch until the collector takes it, refuses it for good, or has failed often enough.
    async fn export(&mut self, batch: &[Span]) {
        let body = Bytes::from(encode::request(&self.resource, batch));
        let count = batch.len() as u64;
        for attempt in 1..=ATTEMPTS {
            let failure = match self.collector.post(body.clone()).await {
                Ok(rejected) => {
                    let rejected = rejected.min(count);
                    self.metrics.failed(rejected);
                    self.metrics.exported(count - rejected);
                    self.works();
                    return;
                }
                Err(failure) => failure,
            };
            self.fails(&failure);
            if !failure.is_passing || attempt == ATTEMPTS || self.is_ending() {
                break;
            }
            let wait = failure.retry_after.unwrap_or_else(|| wait(self.failures, fastrand::f64()));
            tokio::select! {
                () = sleep(wait) => {}
                // The collector may have asked for patience, which there is no time for.
                () = ended(&mut self.is_ending) => break,
            }
        }
        self.metrics.failed(count);
    }

    /// One line when exports begin to fail, and one when they work again.
    fn fails(&mut self, failure: &Failure) {
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            tracing::warn!(
                collector.origin = self.collector.origin(),
                "traces are not exported: {}; requests are not delayed, and the export is tried again",
                failure.message
            );
        }
    }

    fn works(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            tracing::info!(collector.origin = self.collector.origin(), "traces are exported again");
        }
    }
}

/// What waits, a batch at most; and whether nothing will ever come after it.
fn next(queued: &mut Queued) -> (Vec<Span>, bool) {
    let mut batch = Vec::new();
    while batch.len() < BATCH {
        match queued.spans.try_recv() {
            Ok(span) => batch.push(span),
            Err(TryRecvError::Empty) => return (batch, false),
            Err(TryRecvError::Disconnected) => return (batch, true),
        }
    }
    (batch, false)
}

/// Waits until the export is to end.
async fn ended(is_ending: &mut watch::Receiver<bool>) {
    if is_ending.wait_for(|is_ending| *is_ending).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// How long to wait after so many failures in a row; `random` is from 0 to 1.
fn wait(failures: u32, random: f64) -> Duration {
    let doubled = SHORTEST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(LONGEST_WAIT).mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_with_each_failure_and_never_too_long() {
        assert_eq!(wait(1, 1.0), SHORTEST_WAIT);
        assert_eq!(wait(1, 0.0), SHORTEST_WAIT / 2);
        assert_eq!(wait(3, 1.0), 4 * SHORTEST_WAIT);
        for failures in [6, 7, 100, u32::MAX] {
            assert_eq!(wait(failures, 1.0), LONGEST_WAIT);
        }
    }
}
