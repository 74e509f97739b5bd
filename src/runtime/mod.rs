//! The configuration in the form in which requests use it.
//!
//! ```text
//! snapshot     the configuration as one value, and how a reload replaces it
//! route        finds the service of a request
//! service      one service: credential, upstream, metrics
//! failure_log  which failed requests are logged
//! ```

mod failure_log;
pub mod problem;
pub mod route;
pub mod service;
pub mod snapshot;
