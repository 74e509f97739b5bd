//! What a request sees of the configuration.
//!
//! ```text
//! snapshot  the configuration as one value, and how a reload replaces it
//! route     which service a request is for
//! service   one service: credential, upstream, metrics
//! ```

pub mod route;
pub mod service;
pub mod snapshot;
