//! `sidekey schema`: the JSON Schema of the configuration, for editors.

use std::process::ExitCode;

use crate::config;
use crate::credential::READERS;

/// Prints the schema, which is published as `config/schema.json`.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(super) fn schema() -> ExitCode {
    println!("{:#}", config::schema(READERS));
    ExitCode::SUCCESS
}
