//! `sidekey exec`: a command behind a Sidekey of its own.

mod agents;
mod clients;
mod environment;
mod exit_codes;
mod readiness;
mod secrecy;
mod setup;
mod signals;
mod state;
mod terminal;
mod unmatched;
