//! `tracing`: the export of spans of requests and token requests to an OpenTelemetry collector.
//!
//! A missing key is replaced by the environment variable that OpenTelemetry defines for it. Without the
//! section `tracing` no variable has an effect.

mod endpoint;
mod environment;
pub(super) mod protocol;
pub(super) mod settings;
