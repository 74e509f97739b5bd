//! Logs, traces and the metrics of certificates.

mod certificate_expiry;
mod logging;
mod logs_reference;
mod metrics_reference;
mod trace_export;
mod traces;
