//! Every integration test, in one binary: the real program, started as a caller starts it, between scripted and
//! real peers. Only behaviour on the wire, in the logs and in the metrics is asserted.
//!
//! `harness/` is what tests are built from; `suite/` holds them, a file for each promise or subject. The file names
//! that begin with `real_` need the software that `make test-setup` installs.

// A test says what went wrong by where it panics.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]
// Everything here is private to this binary; `pub` says what a module offers to the others.
#![allow(unreachable_pub, missing_docs)]

mod harness;
#[path = "suite/mod.rs"]
mod suite;
