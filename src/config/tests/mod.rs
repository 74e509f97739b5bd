//! The configuration as a whole: what is read from good files, and what is said of broken ones.
#![allow(clippy::unwrap_used)]

mod good;
