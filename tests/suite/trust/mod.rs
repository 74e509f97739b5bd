//! Who may call what.

mod explain;
mod rules;
