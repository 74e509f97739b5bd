//! The series of traces.

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
                "Spans by export result (exported; failed: the collector rejected them or could not be reached; dropped: the queue was full).",
            ),
            &["result"],
        )?;
        registry.register(Box::new(total.clone()))?;
        // Present from the start: the rate of a series that appears with its first failure misses that failure.
        let of = |result| total.with_label_values(&[result]);
        Ok(Self { exported: of("exported"), failed: of("failed"), dropped: of("dropped") })
    }

    /// Counts spans that the collector accepted.
    pub fn exported(&self, spans: u64) {
        self.exported.inc_by(spans);
    }

    /// Counts spans that the collector rejected, or that it could not be sent in time.
    pub fn failed(&self, spans: u64) {
        self.failed.inc_by(spans);
    }

    /// Counts spans for which the queue had no room.
    pub fn dropped(&self, spans: u64) {
        self.dropped.inc_by(spans);
    }
}
