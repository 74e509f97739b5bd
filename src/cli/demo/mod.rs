//! `sidekey demo`: a demo that needs no setup. Runs an echo upstream and a token endpoint on loopback, the real proxy in front of
//! them with services of several kinds, and prints the `curl` commands to try.

mod command;
mod echo;
mod instructions;
mod services;
mod tokens;

pub(super) use command::{Args, demo};
