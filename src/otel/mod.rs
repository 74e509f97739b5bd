//! Traces: spans of requests and of token requests, exported to an OpenTelemetry collector by OTLP over HTTP.
//!
//! ```text
//! context        `traceparent` (W3C Trace Context): read and written
//! span           a finished operation
//! tracer         identifiers, sampling, the bounded queue
//! current        the tracer of the current configuration
//! span_data      a span as a record of OpenTelemetry's SDK
//! export_error   the cause of a failed export, for the log
//! batch_progress the attempts at one batch
//! transport      one HTTP request of the SDK's exporter, sent by Sidekey's client
//! otlp_client    the SDK's exporter for one collector: protocol, resource, retries
//! exporter       the task that empties the queue, batch by batch
//! ```
//!
//! A request records a [`Span`] and puts it into the queue. The SDK begins in the exporter's task, so a request never runs
//! its code. There is a [`Tracer`] only if the configuration has `tracing`.

mod batch_progress;
mod context;
mod current;
mod export_error;
mod exporter;
mod otlp_client;
mod span;
mod span_data;
mod tracer;
mod transport;

pub use context::{Context, Parent, SpanId, TraceId};
pub use current::CurrentTracer;
pub use exporter::{ExporterHandle, SpanOptions};
pub use otlp_client::{CONNECT_TIMEOUT, Collector, OtlpClient};
pub use span::{Span, Value};
pub use tracer::Tracer;
