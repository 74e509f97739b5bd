//! The audit log: decisions about requests, one JSON object on each line.
//!
//! ```text
//! event   one decision
//! log     the queue, and the thread that writes it
//! output  where lines are written to
//! ```

mod event;
mod log;
mod output;

pub use event::{Event, Reason};
pub use log::{AuditLog, AuditMetrics};
