//! The configuration in the form in which requests use it.
//!
//! ```text
//! base_path    whether a path leaves that of the upstream
//! snapshot     the configuration as one value, and how a reload replaces it
//! route        finds the service of a request
//! service      one service: credential, upstream, metrics
//! failure_log  which failed requests are logged
//! ```

pub mod base_path;
mod failure_log;
pub mod problem;
pub mod route;
pub mod service;
pub mod snapshot;
