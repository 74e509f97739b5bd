//! The command line: one file for each subcommand.

mod ca;
mod check;
mod demo;
mod login;
mod probe;
mod run;
mod schema;
mod sd_notify;
mod serve;
mod test;
mod upgrade;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::credential::AUTH_KINDS;
use crate::secret::CommandCache;

/// The exit code for wrong usage or a wrong configuration (`EX_USAGE` of sysexits).
const EXIT_USAGE: u8 = 64;

/// Sidekey holds a program's API credentials so that the program does not have to.
#[derive(Debug, Parser)]
#[command(name = "sidekey", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy.
    Run(run::Args),
    /// Check the configuration: report every error in it, and list its services.
    Check(check::Args),
    /// Test a service: obtain its credential, call its upstream once, and explain the outcome.
    Test(test::Args),
    /// Manage the certificate authority for interception.
    #[command(subcommand)]
    Ca(ca::Ca),
    /// Log in to a service whose grant needs a user: authorization code, or device code.
    Login(login::Args),
    /// Start a demo on loopback: an echo upstream, a token endpoint and one service of each kind.
    Demo(demo::Args),
    /// Ask a running Sidekey whether it is ready, for the health check of a container.
    Probe(probe::Args),
    /// Print the JSON Schema of the services file, for editors.
    Schema,
}

#[derive(Debug, clap::Args)]
struct ConfigArg {
    /// The services file.
    #[arg(long, value_name = "PATH", env = "SIDEKEY_CONFIG", default_value = "/etc/sidekey/services.yaml")]
    config: PathBuf,
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Test(args) => test::test(&args),
        Command::Ca(command) => ca::ca(&command),
        Command::Login(args) => login::login(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Probe(args) => probe::probe(&args),
        Command::Schema => schema::schema(),
    }
}

/// Reads the configuration. Prints its errors and returns the exit code if it is wrong.
#[expect(clippy::print_stderr, reason = "an operator reads it")]
fn load(path: &Path, commands: &CommandCache) -> Result<Config, ExitCode> {
    Config::load_with(path, commands, AUTH_KINDS).map_err(|error| {
        eprintln!("{error}");
        ExitCode::from(EXIT_USAGE)
    })
}

/// Reports why the program did not start: in the log, or on standard error if errors are not logged.
#[expect(clippy::print_stderr, reason = "an operator reads it")]
fn cannot_start(error: &anyhow::Error) -> ExitCode {
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!("cannot start: {error:#}");
    } else {
        eprintln!("cannot start: {error:#}");
    }
    ExitCode::FAILURE
}
