//! `sidekey completions`: the completions of a shell.

use std::io;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

/// Arguments of `sidekey completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

/// Prints the completions of the program `C`.
pub(super) fn completions<C: CommandFactory>(args: &Args) -> ExitCode {
    clap_complete::generate(args.shell, &mut C::command(), "sidekey", &mut io::stdout());
    ExitCode::SUCCESS
}
