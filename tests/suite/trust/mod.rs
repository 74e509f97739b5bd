//! Who may call what.

pub mod callers;
mod explain;
mod rules;
