//! `sidekey check`: checks a configuration without the network. With `--online`, also checks whether the servers that it names can
//! be reached.
//!
//! ```text
//! command  arguments and exit code
//! report   what was found, for people and for programs: text, JSON, SARIF, annotations of GitHub
//! table    the tables of services and of servers
//! ```

mod command;
mod report;
mod table;

pub(super) use command::{Args, check};
