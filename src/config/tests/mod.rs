//! The configuration as a whole: what is read from good files, and what is said of broken ones.
#![allow(clippy::unwrap_used)]

mod any_text;
mod broken;
mod broken_cases;
mod good;
mod samples;
mod schema;

pub(super) use schema::asked;
