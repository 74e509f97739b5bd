//! The commands that change the services file.
//!
//! ```text
//! add edit remove rotate toggle  the commands
//! editor         a service in an editor
//! change         a change: checked, shown, tested, written
//! diff           the changed lines, as they are shown
//! services_file  the file
//! new_secrets    files for secrets that are typed, which are removed if nothing comes of the change
//! secret_option  `--secret NAME=SOURCE`
//! terminal       questions to a person
//! ```

pub(super) mod add;
mod change;
mod diff;
pub(super) mod edit;
mod editor;
mod new_secrets;
pub(super) mod remove;
pub(super) mod rotate;
mod secret_option;
mod services_file;
mod terminal;
pub(super) mod toggle;
