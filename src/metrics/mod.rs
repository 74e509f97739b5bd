//! The series of `/metrics`. The registry is passed in: nothing here is global.
//!
//! ```text
//! instance       Metrics, from which all others are handed out
//! families       the table of families per service that count as things happen
//! service_state  the table of gauges that are read from the services' state
//! per_service    a family that registers, hands out and removes its series
//! requests       one service's requests, and the closed sets of their labels
//! token          one service's token requests
//! connections    callers' connections by listener
//! result_label   the values of a label `result`
//! reload certificates traces fleet webhook
//! ```
//!
//! Labels are closed sets: a caller cannot create a series. docs/METRICS.md describes every family.

mod certificates;
mod connections;
mod error_reason;
mod families;
mod fleet;
mod instance;
mod per_service;
mod reload;
mod requests;
mod result_label;
mod service_state;
mod token;
mod traces;
mod webhook;

pub use certificates::CertificateMetrics;
pub use connections::{ConnectionMetrics, OpenConnection, OpenConnections};
pub use error_reason::{ErrorReason, UPSTREAM_REASONS};
pub use fleet::FleetMetrics;
pub use instance::Metrics;
pub use reload::ReloadMetrics;
pub use requests::{CLASSES, MethodLabel, RequestTotals, RetryReason, RetryResult, ServiceMetrics};
pub use service_state::{ServiceState, ServiceStates, TokenState};
pub use token::{CallerTokenEnd, SharedTokenMetrics, TokenMetrics};
pub use traces::TraceMetrics;
pub use webhook::{ReviewOutcome, WebhookMetrics};
