//! Reload of the configuration, secrets, certificates, listeners and tokens.

mod certificates;
mod commands;
pub mod configuration;
mod listeners;
mod log_level;
mod secrets;
mod tokens;
mod under_load;
