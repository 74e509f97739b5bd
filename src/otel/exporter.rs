//! The task that empties the queue: a batch every few seconds, or as soon as there is one. A collector that is slow, hangs or
//! rejects holds up this task and nothing else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::otlp_client::OtlpClient;
use super::span::Span;
use super::tracer::{BATCH_SIZE, SpanReceiver, Tracer};
use crate::metrics::TraceMetrics;

/// Which spans are recorded, and when they are exported.
#[derive(Debug, Clone, Copy)]
pub struct SpanOptions {
    /// Ratio, from 0 to 1, of the requests without a trace context that start a trace.
    pub sample_ratio: f64,
    /// Longest time that a span waits, unless the collector fails.
    pub interval: Duration,
}

/// The exporter of one tracer. It runs until the tracer is dropped and all its spans are exported, or until
/// [`ExporterHandle::end`].
pub struct ExporterHandle {
    ending: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ExporterHandle {
    /// Starts an exporter on the current tokio runtime, and makes its tracer.
    pub fn start(options: SpanOptions, client: OtlpClient, metrics: &TraceMetrics) -> (Arc<Tracer>, Self) {
        let (tracer, spans) = Tracer::new(options.sample_ratio, metrics.clone());
        let (ending, is_ending) = watch::channel(false);
        let exporter = Exporter { client, interval: options.interval, metrics: metrics.clone(), is_ending };
        let task = tokio::spawn(exporter.run(spans));
        (Arc::new(tracer), Self { ending, task })
    }

    /// Whether the tracer is dropped and all its spans are exported.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Exports what is in the queue, without retries, within `limit`.
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
    client: OtlpClient,
    /// Longest time that a span waits, unless the collector fails.
    interval: Duration,
    metrics: TraceMetrics,
    is_ending: watch::Receiver<bool>,
}

impl Exporter {
    async fn run(mut self, mut queue: SpanReceiver) {
        loop {
            tokio::select! {
                () = sleep(self.interval) => {}
                () = queue.batch_ready.notified() => {}
                () = ended(self.is_ending.clone()) => {}
            }
            // Read before the queue is: spans that are recorded after the end are not exported.
            let is_last = *self.is_ending.borrow();
            loop {
                let (batch, is_orphaned) = next_batch(&mut queue);
                let is_whole = batch.len() == BATCH_SIZE;
                if !batch.is_empty() {
                    self.export(batch).await;
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

    async fn export(&mut self, batch: Vec<Span>) {
        let count = batch.len() as u64;
        let failed = self.client.export(batch, ended(self.is_ending.clone())).await;
        self.metrics.failed(failed);
        self.metrics.exported(count - failed);
    }
}

/// The next batch of the queue, and whether nothing will ever follow it.
fn next_batch(queue: &mut SpanReceiver) -> (Vec<Span>, bool) {
    let mut batch = Vec::new();
    while batch.len() < BATCH_SIZE {
        match queue.spans.try_recv() {
            Ok(span) => batch.push(span),
            Err(TryRecvError::Empty) => return (batch, false),
            Err(TryRecvError::Disconnected) => return (batch, true),
        }
    }
    (batch, false)
}

/// Waits until the export is to end. A handle that is dropped ends nothing.
async fn ended(mut is_ending: watch::Receiver<bool>) {
    if is_ending.wait_for(|is_ending| *is_ending).await.is_err() {
        std::future::pending::<()>().await;
    }
}
