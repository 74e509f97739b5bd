//! Sidekey: a sidecar proxy that holds a program's API credentials so that the program does not have to.

pub mod config;
pub mod secret;
