//! `sidekey schema`: the JSON Schema of the configuration, for editors.

use std::process::ExitCode;

/// Published as `config/schema.json`; a test holds it to the keys that the program reads.
const SCHEMA: &str = include_str!("../../config/schema.json");

/// Prints the schema.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(super) fn schema() -> ExitCode {
    print!("{SCHEMA}");
    ExitCode::SUCCESS
}
