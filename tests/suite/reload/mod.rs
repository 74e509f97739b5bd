//! Reload of the configuration, secrets, certificates, listeners and tokens.

mod certificates;
mod commands;
mod configuration;
mod listeners;
mod log_level;
mod many_services;
mod secrets;
pub mod setup;
mod special_files;
mod tokens;
mod under_load;
