//! `sidekey schema`: the JSON Schema of the configuration, for editors.

use std::process::ExitCode;

use crate::config;
use crate::credential::READERS;

/// Arguments of `sidekey schema`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the schema of files that the services file includes.
    #[arg(long)]
    included: bool,
}

/// Prints a schema. They are published as `config/schema.json` and `config/included.schema.json`.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(super) fn schema(args: &Args) -> ExitCode {
    let schema = if args.included { config::included_schema(READERS) } else { config::schema(READERS) };
    println!("{schema:#}");
    ExitCode::SUCCESS
}
