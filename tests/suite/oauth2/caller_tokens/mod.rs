//! Tokens that are requested with the token of the caller (`{ from: caller }`).

mod every_way_in;
mod failures;
mod hostile_subjects;
mod lifetimes;
mod right_caller;
pub mod setup;
