//! What is recorded: identifiers, sampling, and the queue that the exporter empties.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, mpsc};

use super::context::{Context, Parent, SpanId, TraceId};
use super::span::Span;
use crate::metrics::TraceMetrics;

/// So many spans wait at most; those beyond it are dropped and counted.
const QUEUE: usize = 4096;
/// An export has so many at most, and begins as soon as there are so many.
pub(crate) const BATCH: usize = 512;

/// Records spans. Never waits: a queue that is full drops what comes.
pub struct Tracer {
    ids: Ids,
    sample_ratio: f64,
    queue: mpsc::Sender<Span>,
    /// Told when a batch is there.
    due: Arc<Notify>,
    metrics: TraceMetrics,
}

/// What the exporter gets of a tracer.
pub(crate) struct Queued {
    pub(crate) spans: mpsc::Receiver<Span>,
    pub(crate) due: Arc<Notify>,
}

impl Tracer {
    /// `sample_ratio` of the requests that come without a trace begin one.
    pub(crate) fn new(sample_ratio: f64, metrics: TraceMetrics) -> (Self, Queued) {
        let (queue, spans) = mpsc::channel(QUEUE);
        let due = Arc::new(Notify::new());
        let tracer = Self { ids: Ids::default(), sample_ratio, queue, due: due.clone(), metrics };
        (tracer, Queued { spans, due })
    }

    /// Where a request stands that brought this `traceparent`, if a valid one; `None` where it is not recorded. Whoever sent it
    /// has decided that already; a request without a valid one is sampled here.
    pub fn request(&self, parent: Option<&Parent>) -> Option<Context> {
        match parent {
            Some(parent) if parent.is_sampled() => Some(Context::below(parent, self.ids.span())),
            Some(_) => None,
            None => {
                let is_sampled = self.sample_ratio >= 1.0 || self.ids.fraction() < self.sample_ratio;
                is_sampled.then(|| self.root())
            }
        }
    }

    /// The first operation of a new trace, which is recorded.
    pub fn root(&self) -> Context {
        Context::root(self.ids.trace(), self.ids.span())
    }

    /// Takes a span that has ended.
    pub fn record(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.metrics.dropped(1);
            return;
        }
        if self.queue.max_capacity() - self.queue.capacity() >= BATCH {
            self.due.notify_one();
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

    /// From 0 to less than 1.
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

    fn tracer(ratio: f64) -> (Tracer, Queued, Registry) {
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
        for _ in 0..QUEUE + 3 {
            tracer.record(Span {
                context: tracer.root(),
                name: "GET",
                start: SystemTime::now(),
                took: Duration::ZERO,
                attributes: Vec::new(),
                error: None,
            });
        }
        assert_eq!(queued.spans.len(), QUEUE);
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains(r#"sidekey_trace_spans_total{result="dropped"} 3"#), "{text}");
    }
}
