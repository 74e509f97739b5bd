//! `sidekey inject`: adds the sidecar to manifests of Kubernetes.
//!
//! ```text
//! command       arguments, order and exit code
//! input         files, folders and standard input
//! settings_args the flags that say how the sidecar is to be, for the webhook as well
//! report        what was done with each object
//! ```

mod command;
mod input;
mod report;
mod settings_args;

pub(super) use command::{Args, inject};
pub(super) use settings_args::SettingsArgs;
