//! How the program ends without success.

use std::process::ExitCode;

/// The exit code for wrong usage (`EX_USAGE` of sysexits).
pub(super) const EXIT_USAGE: u8 = 64;

/// The exit code of `exec` if a credential was not ready in time (`EX_UNAVAILABLE` of sysexits).
pub(super) const EXIT_NOT_READY: u8 = 69;

/// The exit code for a wrong configuration (`EX_CONFIG` of sysexits).
pub(super) const EXIT_CONFIG: u8 = 78;

/// The exit code of `exec` if Sidekey cannot start, as of `env`, `timeout` and others that run a command.
pub(super) const EXIT_NOT_STARTED: u8 = 125;

/// The exit code of `exec` if the command cannot be executed, as of shells.
pub(super) const EXIT_NOT_EXECUTABLE: u8 = 126;

/// The exit code of `exec` if there is no such command, as of shells.
pub(super) const EXIT_NOT_FOUND: u8 = 127;

/// Reports why the program did not start: in the log, or on standard error if errors are not logged.
#[expect(clippy::print_stderr, reason = "an operator reads it")]
pub(super) fn cannot_start(error: &anyhow::Error) -> ExitCode {
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!("cannot start: {error:#}");
    } else {
        eprintln!("cannot start: {error:#}");
    }
    ExitCode::FAILURE
}
