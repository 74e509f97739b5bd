//! Commands of the program: `check --online`, `test`, and the sample configurations.

mod check_formats;
mod check_online;
mod diagnose;
mod exposure;
mod running;
mod sample_configs;
mod written_folders;
