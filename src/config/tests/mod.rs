//! Tests of the configuration as a whole: valid files, and the errors of invalid ones.
#![allow(clippy::unwrap_used)]

mod diagnostics;
mod fuzz_text;
mod invalid;
mod samples;
mod schema;
mod valid;

pub(super) use schema::asked;
