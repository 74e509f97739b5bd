//! Sidekey: a sidecar proxy that holds a program's API credentials so that the program does not have to.
//!
//! The floor plan, from the top: a module imports only from floors below its own, and a test holds the code to it
//! (`docs/ARCHITECTURE.md` has the map and walkthroughs). `a → b`: a floor within a floor, `b` below `a`.
//!
//! ```text
//! 6  main, cli
//! 5  app                                  the only module that sees all others
//! 4  proxy · admin
//! 3  runtime · reload · trial → service
//! 2  credential · route
//! 1  token · upstream · handover · activation · caller_tls · authority → listener · http2 · traces → headers · read_ahead
//! 0  telemetry · tls · dns · keepalive · buffer · certificate_dates → config → secret · metrics · renewable
//! ```

pub mod activation;
pub mod admin;
pub mod app;
pub mod authority;
mod buffer;
pub mod caller_tls;
pub mod certificate_dates;
pub mod cli;
pub mod config;
pub mod credential;
pub mod dns;
pub mod handover;
pub mod headers;
pub mod http2;
pub mod keepalive;
pub mod listener;
pub mod metrics;
pub mod proxy;
pub mod read_ahead;
pub mod reload;
pub mod renewable;
pub mod route;
pub mod runtime;
pub mod secret;
pub mod service;
pub mod telemetry;
pub mod tls;
pub mod token;
pub mod traces;
pub mod trial;
pub mod upstream;
