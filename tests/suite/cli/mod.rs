//! Commands of the program: `check`, `test`, `add` and others, and the sample configurations.

mod check_formats;
mod check_online;
mod diagnose;
mod exposure;
mod inject;
mod running;
mod sample_configs;
mod services;
mod written_folders;
