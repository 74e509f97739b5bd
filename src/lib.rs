//! Sidekey: a sidecar proxy that holds a program's API credentials so that the program does not have to.
//!
//! The floor plan, from the top: a module imports only from floors below its own, and a test holds the code to it
//! (`docs/ARCHITECTURE.md` has the map and walkthroughs). `a → b`: a floor within a floor, `b` below `a`.
//!
//! ```text
//! 6  main, cli
//! 5  app · fuzzing                        app is the only module that sees all others; fuzzing is in no normal build
//! 4  proxy · admin · webhook
//! 3  reload · diagnose · manage → runtime
//! 2  credential · callers
//! 1  audit · inject · oauth2 → fleet → upstream · otel
//! 0  logging · net → tls → config → rules, secret · metrics · presets · proto · refresh · hardening → clock
//! ```
//!
//! The public face is [`cli::main`], the program. With the feature `internals` the other modules are public as well: for the tests,
//! benchmarks and fuzz targets of this repository, which ask for it, and for nothing else. They change with any version. Their
//! documentation, their names and what nothing uses are checked with the feature (`make lint`).
#![cfg_attr(not(feature = "internals"), allow(unreachable_pub, unused_imports, dead_code))]

#[cfg(feature = "internals")]
pub mod admin;
#[cfg(not(feature = "internals"))]
mod admin;
#[cfg(feature = "internals")]
pub mod app;
#[cfg(not(feature = "internals"))]
mod app;
#[cfg(feature = "internals")]
pub mod audit;
#[cfg(not(feature = "internals"))]
mod audit;
#[cfg(feature = "internals")]
pub mod callers;
#[cfg(not(feature = "internals"))]
mod callers;
pub mod cli;
mod clock;
#[cfg(feature = "internals")]
pub mod config;
#[cfg(not(feature = "internals"))]
mod config;
#[cfg(feature = "internals")]
pub mod credential;
#[cfg(not(feature = "internals"))]
mod credential;
#[cfg(feature = "internals")]
pub mod diagnose;
#[cfg(not(feature = "internals"))]
mod diagnose;
#[cfg(feature = "internals")]
pub mod fleet;
#[cfg(not(feature = "internals"))]
mod fleet;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "internals")]
pub mod hardening;
#[cfg(not(feature = "internals"))]
mod hardening;
#[cfg(feature = "internals")]
pub mod inject;
#[cfg(not(feature = "internals"))]
mod inject;
#[cfg(feature = "internals")]
pub mod logging;
#[cfg(not(feature = "internals"))]
mod logging;
#[cfg(feature = "internals")]
pub mod manage;
#[cfg(not(feature = "internals"))]
mod manage;
#[cfg(feature = "internals")]
pub mod metrics;
#[cfg(not(feature = "internals"))]
mod metrics;
#[cfg(feature = "internals")]
pub mod net;
#[cfg(not(feature = "internals"))]
mod net;
#[cfg(feature = "internals")]
pub mod oauth2;
#[cfg(not(feature = "internals"))]
mod oauth2;
#[cfg(feature = "internals")]
pub mod otel;
#[cfg(not(feature = "internals"))]
mod otel;
#[cfg(feature = "internals")]
pub mod presets;
#[cfg(not(feature = "internals"))]
mod presets;
#[cfg(feature = "internals")]
pub mod proto;
#[cfg(not(feature = "internals"))]
mod proto;
#[cfg(feature = "internals")]
pub mod proxy;
#[cfg(not(feature = "internals"))]
mod proxy;
#[cfg(feature = "internals")]
pub mod refresh;
#[cfg(not(feature = "internals"))]
mod refresh;
#[cfg(feature = "internals")]
pub mod reload;
#[cfg(not(feature = "internals"))]
mod reload;
#[cfg(feature = "internals")]
pub mod rules;
#[cfg(not(feature = "internals"))]
mod rules;
#[cfg(feature = "internals")]
pub mod runtime;
#[cfg(not(feature = "internals"))]
mod runtime;
#[cfg(feature = "internals")]
pub mod secret;
#[cfg(not(feature = "internals"))]
mod secret;
#[cfg(test)]
mod simulation;
#[cfg(feature = "internals")]
pub mod tls;
#[cfg(not(feature = "internals"))]
mod tls;
#[cfg(feature = "internals")]
pub mod upstream;
#[cfg(not(feature = "internals"))]
mod upstream;
#[cfg(feature = "internals")]
pub mod webhook;
#[cfg(not(feature = "internals"))]
mod webhook;
