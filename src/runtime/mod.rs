//! What a request sees of the configuration: the snapshot of services and routes, and how a reload replaces it.

pub mod route;
pub mod service;
pub mod snapshot;
