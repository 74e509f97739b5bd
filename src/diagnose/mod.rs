//! What works and what does not, in plain words: a test of one service, and whether servers can be reached.
//!
//! ```text
//! service_test  obtains a service's credential, calls its upstream once, and explains the outcome
//! reachability  connects to servers, without a request
//! failure       what to change if a server cannot be reached
//! warnings      what will break soon: certificates that end, and a wrong clock
//! advice        what to do about a state, in the words of a test
//! explain       what an outcome means, and what to change
//! probe         the one request of a test
//! report        the report of a test
//! role          what a server is to a service
//! ```
//!
//! Credential and connection are those of a caller's request, so that what works here works there. Nothing in a [`TestReport`]
//! is secret: no token, no body, and of the upstream's header fields only words from a fixed list.

mod advice;
mod explain;
mod failure;
mod probe;
mod reachability;
mod report;
mod role;
mod service_test;
mod warnings;

pub use advice::{advice_on_401, advice_on_errors, advice_on_failure};
pub use reachability::{ProbeResult, ProbeTarget, probe_all};
pub use report::{TestReport, TokenReport};
pub use role::Role;
pub use service_test::test_service;
pub use warnings::warnings;
