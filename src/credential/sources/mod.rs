//! One file for each source of secrets, and the table of them.

mod aws_secrets_manager;
mod env;
mod exec;
mod file;
mod registry;
mod vault;

pub(super) use file::of_file;
pub use registry::SOURCES;
