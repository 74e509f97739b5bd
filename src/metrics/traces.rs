//! What becomes of spans.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// The series of traces.
#[derive(Clone)]
pub struct TraceMetrics {
    exported: IntCounter,
    failed: IntCounter,
    dropped: IntCounter,
}

impl TraceMetrics {
    /// Registers the series.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let total = IntCounterVec::new(
            Opts::new(
                "sidekey_trace_spans_total",
                "Spans recorded, by what became of them (exported; failed: the collector did not take them; dropped: the queue was full).",
            ),
            &["result"],
        )?;
        registry.register(Box::new(total.clone()))?;
        // There from the start: a rate of what appears with its first failure misses that failure.
        let of = |result| total.with_label_values(&[result]);
        Ok(Self { exported: of("exported"), failed: of("failed"), dropped: of("dropped") })
    }

    /// The collector took them.
    pub fn exported(&self, spans: u64) {
        self.exported.inc_by(spans);
    }

    /// The collector did not take them, or could not be reached for too long.
    pub fn failed(&self, spans: u64) {
        self.failed.inc_by(spans);
    }

    /// The queue was full.
    pub fn dropped(&self, spans: u64) {
        self.dropped.inc_by(spans);
    }
}
