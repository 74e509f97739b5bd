//! Every integration test, in one binary: the real program, started like a caller starts it, between mock and
//! real peers. Only behaviour on the wire, in the logs and in the metrics is asserted.
//!
//! `harness/` has the tools that tests are built from; `suite/` has the tests, a folder for each area. The tests that use
//! `harness/real/` (those in `suite/real/` and others) need the software that `make test-deps` installs.

// A failing test is located by where it panics.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]
// Everything here is private to this binary; `pub` marks what a module offers to the others.
#![allow(unreachable_pub, missing_docs)]

mod harness;
#[path = "suite/mod.rs"]
mod suite;
