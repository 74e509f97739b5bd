//! Logs, traces and the metrics of certificates.

mod certificate_expiry;
mod failure_lines;
mod logging;
mod logs_reference;
pub mod metrics_reference;
mod request_id;
mod trace_export;
mod traces;
