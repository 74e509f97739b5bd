//! Who may call what.

mod callers;
mod explain;
mod rules;
