//! The argument that names the services file, and reading it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::exit::EXIT_USAGE;
use crate::config::Config;
use crate::credential::READERS;
use crate::secret::SecretCache;

#[derive(Debug, clap::Args)]
pub(super) struct ConfigArg {
    /// The services file.
    #[arg(long, value_name = "PATH", env = "SIDEKEY_CONFIG", default_value = "/etc/sidekey/services.yaml")]
    pub(super) config: PathBuf,
}

/// Reads the configuration. Prints its errors and returns the exit code if it is wrong.
#[expect(clippy::print_stderr, reason = "an operator reads it")]
pub(super) fn load(path: &Path, secrets: &SecretCache) -> Result<Config, ExitCode> {
    Config::load_with(path, secrets, READERS).map_err(|error| {
        eprintln!("{error}");
        ExitCode::from(EXIT_USAGE)
    })
}
