//! The admin listener: health and metrics for machines, a JSON API, and a status page that is made from it.
//!
//! ```text
//! router     the routes, and the header fields of every response
//! access     who may read and change what
//! page       the status page
//! api        the routes of the JSON API
//! openapi    the document that describes it
//! services   the services with their state
//! revisions  which services have changed since a client last asked
//! actions    what the API does with one service
//! changes    services that are added and changed
//! managing   what a change needs of the program
//! log_level  the level of the log
//! reload     the reload that the API requests
//! view       the documents of the API
//! status     a service's state, its severity, and what to do about it
//! events     what happened to each service in the last hours
//! history    the last minutes of traffic
//! health     alive, ready
//! readiness  the rule of ready
//! metrics    /metrics
//! quit       the end of the process, for the sidecar of a Job
//! state      what the routes share
//! problem    error responses
//! ```

mod access;
mod actions;
mod api;
mod changes;
mod events;
mod health;
mod history;
mod log_level;
mod managing;
mod metrics;
mod openapi;
mod page;
mod problem;
mod quit;
mod readiness;
mod reload;
mod revisions;
mod router;
mod services;
mod state;
mod status;
mod view;

pub use access::AccessPolicy;
pub use managing::{DraftTester, Managing};
pub use metrics::service_states;
pub use router::router;
pub use state::Admin;
