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
//! 0  logging · net → tls → config → rules, secret · metrics · presets · proto · refresh · hardening
//! ```

pub mod admin;
pub mod app;
pub mod audit;
pub mod callers;
pub mod cli;
pub mod config;
pub mod credential;
pub mod diagnose;
pub mod fleet;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod hardening;
pub mod inject;
pub mod logging;
pub mod manage;
pub mod metrics;
pub mod net;
pub mod oauth2;
pub mod otel;
pub mod presets;
pub mod proto;
pub mod proxy;
pub mod refresh;
pub mod reload;
pub mod rules;
pub mod runtime;
pub mod secret;
#[cfg(test)]
mod simulation;
pub mod tls;
pub mod upstream;
pub mod webhook;
