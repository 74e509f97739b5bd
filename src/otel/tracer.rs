//! The tracer: identifiers, sampling, and the queue that the exporter empties.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, mpsc};

use super::context::{Context, Parent, SpanId, TraceId};
use super::span::Span;
use crate::metrics::TraceMetrics;

/// Limit on the spans that wait for their export. Further spans are dropped and counted.
const QUEUE_CAPACITY: usize = 4096;
/// Limit on the spans of one export. An export begins as soon as this many wait.
pub(super) const BATCH_SIZE: usize = 512;

/// Records spans. It never waits: if the queue is full, a span is dropped.
pub struct Tracer {
    ids: Ids,
    sample_ratio: f64,
    queue: mpsc::Sender<Span>,
    /// Notified when a whole batch waits.
    batch_ready: Arc<Notify>,
    metrics: TraceMetrics,
}

/// The exporter's end of a tracer's queue.
pub(super) struct SpanReceiver {
    pub(super) spans: mpsc::Receiver<Span>,
    pub(super) batch_ready: Arc<Notify>,
}

impl Tracer {
    /// A tracer, and the other end of its queue. `sample_ratio` is the ratio of the requests without a trace context that
    /// start a trace.
    pub(super) fn new(sample_ratio: f64, metrics: TraceMetrics) -> (Self, SpanReceiver) {
        let (queue, spans) = mpsc::channel(QUEUE_CAPACITY);
        let batch_ready = Arc::new(Notify::new());
        let receiver = SpanReceiver { spans, batch_ready: batch_ready.clone() };
        (Self { ids: Ids::default(), sample_ratio, queue, batch_ready, metrics }, receiver)
    }

    /// The context of a request with this `traceparent`; `None` if it is not recorded. A valid `traceparent` says whether it is;
    /// a request without one is sampled here.
    pub fn request(&self, parent: Option<&Parent>) -> Option<Context> {
        match parent {
            Some(parent) if parent.is_sampled() => Some(Context::child(parent, self.ids.span())),
            Some(_) => None,
            None => {
                let is_sampled = self.sample_ratio >= 1.0 || self.ids.fraction() < self.sample_ratio;
                is_sampled.then(|| self.root())
            }
        }
    }

    /// The context of the first operation of a new trace, which is recorded.
    pub fn root(&self) -> Context {
        Context::root(self.ids.trace(), self.ids.span())
    }

    /// Queues a span that has ended.
    pub fn record(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.metrics.dropped(1);
            return;
        }
        if self.queue.max_capacity() - self.queue.capacity() >= BATCH_SIZE {
            self.batch_ready.notify_one();
        }
    }
}

/// Random identifiers, from a counter under a keyed hash: no lock, no system call. The key comes from the operating system, so
/// that two processes never make the same ones.
#[derive(Default)]
struct Ids {
    key: RandomState,
    next: AtomicU64,
}

impl Ids {
    fn number(&self) -> u64 {
        self.key.hash_one(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn trace(&self) -> TraceId {
        loop {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&self.number().to_be_bytes());
            id[8..].copy_from_slice(&self.number().to_be_bytes());
            if id != [0; 16] {
                return TraceId(id);
            }
        }
    }

    fn span(&self) -> SpanId {
        loop {
            let id = self.number().to_be_bytes();
            if id != [0; 8] {
                return SpanId(id);
            }
        }
    }

    /// A random number from 0 to less than 1.
    fn fraction(&self) -> f64 {
        let high = u32::try_from(self.number() >> 32).unwrap_or_default();
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::{Duration, SystemTime};

    use prometheus::Registry;

    use super::*;
    use crate::metrics::Metrics;

    fn tracer(ratio: f64) -> (Tracer, SpanReceiver, Registry) {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap().traces();
        let (tracer, queued) = Tracer::new(ratio, metrics);
        (tracer, queued, registry)
    }

    #[test]
    fn follows_what_was_decided_and_decides_by_the_ratio() {
        let parse = |flags: &str| {
            let text = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            Parent::parse(text.as_bytes()).unwrap()
        };
        for ratio in [0.0, 0.25, 1.0] {
            let (tracer, ..) = tracer(ratio);
            let continued = tracer.request(Some(&parse("01"))).unwrap();
            assert_eq!(continued.trace_id, parse("01").trace_id);
            assert_eq!(continued.parent, Some(parse("01").span_id));
            assert_eq!(tracer.request(Some(&parse("00"))), None);
            let begun = (0..4000).filter(|_| tracer.request(None).is_some()).count();
            let (least, most) = match ratio {
                0.0 => (0, 0),
                1.0 => (4000, 4000),
                _ => (800, 1200),
            };
            assert!((least..=most).contains(&begun), "{begun} of 4000 at {ratio}");
        }
    }

    #[test]
    fn identifiers_are_not_made_twice() {
        let (one, other) = (tracer(1.0).0, tracer(1.0).0);
        let both = (0..1000).flat_map(|_| [one.root(), other.root()]);
        let ids: HashSet<_> = both.map(|context| context.trace_id).collect();
        assert_eq!(ids.len(), 2000);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (tracer, queued, registry) = tracer(1.0);
        for _ in 0..QUEUE_CAPACITY + 3 {
            tracer.record(Span {
                context: tracer.root(),
                name: "GET",
                start: SystemTime::now(),
                took: Duration::ZERO,
                attributes: Vec::new(),
                error: None,
            });
        }
        assert_eq!(queued.spans.len(), QUEUE_CAPACITY);
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains(r#"sidekey_trace_spans_total{result="dropped"} 3"#), "{text}");
    }
}
