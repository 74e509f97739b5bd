//! The admin listener: health and metrics for machines, a JSON API, and a status page that is made from it.
//!
//! ```text
//! router     the routes, and the header fields of every response
//! access     who may read and change what
//! page       the status page
//! api        the JSON API
//! actions    what the API does with one service
//! view       the documents of the API
//! status     a service's state, its severity, and what to do about it
//! history    the last minutes of traffic
//! health     alive, ready
//! readiness  the rule of ready
//! metrics    /metrics
//! state      what the routes share
//! problem    error responses
//! ```

mod access;
mod actions;
mod api;
mod health;
mod history;
mod metrics;
mod page;
mod problem;
mod readiness;
mod router;
mod state;
mod status;
mod view;

pub use access::AccessPolicy;
pub use metrics::service_states;
pub use router::router;
pub use state::Admin;
