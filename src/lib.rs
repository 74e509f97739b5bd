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
//! The public face is [`cli::main`], the program. The other modules are public for the tests, benchmarks and fuzz targets of this
//! repository; they change with any version, and are documented with `--cfg all_docs` only (`make lint` checks that).

#[cfg_attr(not(all_docs), doc(hidden))]
pub mod admin;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod app;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod audit;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod callers;
pub mod cli;
mod clock;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod config;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod credential;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod diagnose;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod fleet;
#[cfg(any(test, fuzzing))]
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod fuzzing;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod hardening;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod inject;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod logging;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod manage;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod metrics;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod net;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod oauth2;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod otel;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod presets;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod proto;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod proxy;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod refresh;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod reload;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod rules;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod runtime;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod secret;
#[cfg(test)]
mod simulation;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod tls;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod upstream;
#[cfg_attr(not(all_docs), doc(hidden))]
pub mod webhook;
