//! The argument that names the services file, and reading it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::exit::EXIT_USAGE;
use crate::config::{Config, ConfigError};
use crate::credential::READERS;
use crate::secret::SecretCache;

#[derive(Debug, clap::Args)]
pub(super) struct ConfigArg {
    /// The services file.
    #[arg(
        short,
        long,
        value_name = "PATH",
        env = "SIDEKEY_CONFIG",
        default_value = "/etc/sidekey/services.yaml"
    )]
    pub(super) config: PathBuf,
}

/// Reads the configuration; `-` is standard input.
pub(super) fn read(path: &Path, secrets: &SecretCache) -> Result<Config, ConfigError> {
    if path != Path::new("-") {
        return Config::load_with(path, secrets, READERS);
    }
    Config::parse_input(&mut io::stdin().lock(), "standard input", secrets, READERS)
}

/// Reads the configuration. Prints its errors and returns the exit code if it is wrong.
#[expect(clippy::print_stderr, reason = "an operator reads it")]
pub(super) fn load(path: &Path, secrets: &SecretCache) -> Result<Config, ExitCode> {
    read(path, secrets).map_err(|error| {
        eprintln!("{error}");
        ExitCode::from(EXIT_USAGE)
    })
}

/// The error for the name of a service that the configuration does not have.
pub(super) fn no_service<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> String {
    format!("no service `{name}`; the configuration has: {}", names.collect::<Vec<_>>().join(", "))
}
