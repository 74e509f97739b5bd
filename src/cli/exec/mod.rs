//! `sidekey exec`: runs a command behind a Sidekey of its own, and ends with it.
//!
//! ```text
//! command       what the command line says, and the order of everything
//! init          process 1 of a container: collects the processes that others leave behind
//! launcher      the process that becomes the command, started before this process is restricted
//! supervise     signals to the command, its end and its exit code
//! session       the configuration as it is for one command
//! folder        the private folder of what the command reads
//! trust         the certificates that the command trusts
//! trust_store   the same for Java: a PKCS #12 file
//! environment   the command's variables
//! tables        which variables name a proxy, a CA file, a base URL or a key
//! ```
//!
//! The process that was started is Sidekey, and the command is its child:
//!
//! ```text
//! sidekey exec             not traceable at once, restricted before a secret is read
//! └─ sidekey exec-launcher waits, without an environment; becomes the command
//! ```
//!
//! The child is started first, so that it inherits no restriction: what Landlock, seccomp and `no_new_privs` take away is never
//! given back. It ends if this process does, whatever ends it.

mod command;
mod environment;
mod folder;
mod init;
mod launcher;
mod session;
mod supervise;
mod tables;
mod trust;
mod trust_store;

pub(super) use command::{Args, exec};
pub(super) use launcher::{command_of_launcher, launch};
