//! The configuration as a whole: what is read from good files, and what is said of broken ones.
#![allow(clippy::unwrap_used)]

mod diagnostics;
mod fuzz_text;
mod invalid;
mod samples;
mod schema;
mod valid;

pub(super) use schema::asked;
