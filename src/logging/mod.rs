//! The log. It is set up once, before anything else runs.
//!
//! ```text
//! file           a file that the log is appended to
//! subscriber     format, filter, and the change of the level at run time
//! accept_errors  the errors of the accept loop, which come through the `log` facade
//! ```
//!
//! Only Sidekey's own events are printed, whatever `RUST_LOG` says. HTTP and TLS libraries write requests, headers and parse
//! buffers into their trace events; a proxy of credentials must not pass these on. docs/LOGS.md describes the events.

mod accept_errors;
mod file;
mod subscriber;

pub use accept_errors::{AcceptLog, accept_failures, record_accept_failure};
pub use file::LogFile;
pub use subscriber::{LogControl, init, init_in, level, set_level};
