//! The command line: one file for each subcommand.
//!
//! ```text
//! command     the subcommands, and the way to each of them
//! run serve restrict upgrade sd_notify watchdog
//! exec/         a command behind a Sidekey of its own
//! check/ test explain hash_key login ca demo probe schema completions man
//! inject/       the sidecar in manifests of Kubernetes
//! services/     add, edit, remove, enable, disable, rotate: changes of the services file
//! webhook       the admission webhook of Kubernetes
//! status actions  the running process from the shell: its state, refresh, reload
//! show          the effective settings of a service
//! running       the process that runs with a configuration
//! running_test  a test that the process which runs makes
//! admin_client  requests to the admin address of that process
//! config_arg  the argument that names the services file
//! exit        exit codes, and why the program did not start
//! ```

mod actions;
mod admin_client;
mod ca;
mod check;
mod command;
mod completions;
mod config_arg;
mod demo;
mod exec;
mod exit;
mod explain;
mod hash_key;
mod inject;
mod login;
mod man;
mod probe;
mod restrict;
mod run;
mod running;
mod running_test;
mod schema;
mod sd_notify;
mod serve;
mod services;
mod show;
mod status;
mod test;
mod upgrade;
mod watchdog;
mod webhook;

pub use command::main;
