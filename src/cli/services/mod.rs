//! The commands that change the services file.
//!
//! ```text
//! add edit remove rotate toggle  the commands
//! editor         a service in an editor
//! change         a change: checked, shown, tested, written
//! secret_option  `--secret NAME=SOURCE`
//! terminal       questions to a person
//! ```

pub(super) mod add;
mod change;
pub(super) mod edit;
mod editor;
pub(super) mod remove;
pub(super) mod rotate;
mod secret_option;
mod terminal;
pub(super) mod toggle;
