//! Traces: spans of requests and of token requests, sent to an OpenTelemetry collector by OTLP over HTTP.
//!
//! ```text
//! context    `traceparent` (W3C Trace Context): read and written
//! span       what is known of a finished operation
//! tracer     what is recorded: identifiers, sampling, the bounded queue
//! exporter   the task that empties the queue: batches, back-off, the end
//! collector  one export: the HTTP request, and what its answer means
//! encode     spans as OTLP/JSON
//! ```
//!
//! There is a [`Tracer`] only where the configuration has `tracing`; without one nothing of this is ever reached.

mod collector;
mod context;
mod encode;
mod exporter;
mod span;
mod tracer;

use std::sync::Arc;

use arc_swap::ArcSwapOption;

pub use collector::{CONNECT_TIMEOUT, Collector};
pub use context::{Context, Parent, SpanId, TraceId};
pub use exporter::Export;
pub use span::{Span, Value};
pub use tracer::Tracer;

/// The tracer of now, for what goes on over a reload: the refreshers. A request finds it in its snapshot.
#[derive(Default)]
pub struct Current(ArcSwapOption<Tracer>);

impl Current {
    /// The tracer, where traces are on.
    pub fn get(&self) -> Option<Arc<Tracer>> {
        self.0.load_full()
    }

    /// From now on this one, or none.
    pub fn set(&self, tracer: Option<Arc<Tracer>>) {
        self.0.store(tracer);
    }
}
