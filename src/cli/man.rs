//! `sidekey man`: the man pages.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;

/// Arguments of `sidekey man`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder that the pages are written to: `sidekey.1`, and one for each subcommand.
    folder: PathBuf,
}

/// Writes the man pages of the program `C`.
#[expect(clippy::print_stderr, reason = "an operator reads it")]
pub(super) fn man<C: CommandFactory>(args: &Args) -> ExitCode {
    match write(C::command(), &args.folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write to {}: {error}", args.folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write(command: clap::Command, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command, folder)
}
