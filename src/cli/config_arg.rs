//! The argument that names the services file, and reading it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::exit::{EXIT_CONFIG, EXIT_USAGE};
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

/// Reads the configuration; `-` is standard input, and a folder has files that a services file includes.
pub(super) fn read(path: &Path, secrets: &SecretCache) -> Result<Config, ConfigError> {
    if path.is_dir() {
        return Config::load_folder(path, secrets, READERS);
    }
    if path != Path::new("-") {
        return Config::load_with(path, secrets, READERS);
    }
    Config::parse_input(&mut io::stdin().lock(), "standard input", secrets, READERS)
}

/// Reads the configuration, and holds back services that have a mistake. Prints the errors and returns the exit code if nothing is
/// left of it.
pub(super) fn usable(path: &Path, secrets: &SecretCache) -> Result<Config, ExitCode> {
    if path == Path::new("-") {
        return read(path, secrets).map_err(|error| wrong(&error));
    }
    Config::load_usable(path, secrets, READERS, None).map_err(|error| wrong(&error))
}

#[expect(clippy::print_stderr, reason = "an operator reads it")]
fn wrong(error: &ConfigError) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(EXIT_CONFIG)
}

/// The error for the name of a service that does not run, or that the configuration does not have; and the exit code.
pub(super) fn not_running(config: &Config, name: &str) -> (String, u8) {
    match config.why_inactive(name) {
        Some(why) => (why, EXIT_CONFIG),
        None => (no_service(name, config.services.iter().map(|service| service.name.as_str())), EXIT_USAGE),
    }
}

/// The error for the name of a service that the configuration does not have.
pub(super) fn no_service<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> String {
    format!("no service `{name}`; the configuration has: {}", names.collect::<Vec<_>>().join(", "))
}
