//! Changes under a running process: the configuration and every file that it names are compared by content from time to time,
//! and read again if one has changed, if a signal says so, or if the admin API is asked to.
//!
//! ```text
//! reloader      the handle: requests a reload, reads the status
//! watcher       the loop that compares files and reads the configuration
//! certificates  the outcome of reloading certificate files
//! apply         what applies a configuration
//! outcome       the outcome of one reload
//! status        the state of reloading
//! ```
//!
//! A configuration is validated as a whole, with its secrets, and applied as a whole, without the services that have a mistake: they
//! go on with their settings from before, or do not run. A configuration whose main file cannot be used changes nothing:
//! the one in use stays, the log says so once, [`ReloadStatus`] says since when, and it is tried again until it can be used.
//!
//! Certificates are reloaded separately: one listener's or upstream's certificates that cannot be used delay neither others
//! nor the configuration, and an error in the configuration does not delay certificates.

mod apply;
mod certificates;
mod outcome;
mod reloader;
#[cfg(test)]
mod simulation;
mod status;
mod watcher;

pub use apply::ApplyConfig;
pub use outcome::{ReloadError, ReloadReport};
pub use reloader::{Reloader, new};
pub use status::{ReloadFailure, ReloadStatus};
pub use watcher::{ConfigSource, InUse, Watcher};
