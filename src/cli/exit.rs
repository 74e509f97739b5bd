//! How the program ends without success.

use std::process::ExitCode;

/// The exit code for wrong usage or a wrong configuration (`EX_USAGE` of sysexits).
pub(super) const EXIT_USAGE: u8 = 64;

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
