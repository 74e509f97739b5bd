//! Sidekey: a sidecar proxy that holds a program's API credentials so that the program does not have to.
//!
//! The floor plan, from the top: a module imports only from floors below its own, and a test holds the code to it
//! (`docs/ARCHITECTURE.md` has the map and walkthroughs).
//!
//! ```text
//! 5  main · cli
//! 4  app                                  the only module that sees all others
//! 3  proxy · admin
//! 2  credential · route
//! 1  token · headers · upstream
//! 0  config → secret · metrics · telemetry · tls · dns
//! ```

pub mod config;
pub mod credential;
pub mod dns;
pub mod headers;
pub mod metrics;
pub mod proxy;
pub mod route;
pub mod secret;
pub mod service;
pub mod telemetry;
pub mod tls;
pub mod token;
pub mod upstream;
