//! `sidekey refresh` and `sidekey reload`: actions of the running process.

use std::process::ExitCode;

use serde_json::Value;

use super::config_arg::ConfigArg;
use super::running::Running;

/// Arguments of `sidekey refresh`.
#[derive(Debug, clap::Args)]
pub(super) struct RefreshArgs {
    /// The service whose token is requested.
    service: String,
    #[command(flatten)]
    config: ConfigArg,
}

/// Arguments of `sidekey reload`.
#[derive(Debug, clap::Args)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    config: ConfigArg,
}

/// Requests a new token, and waits for it.
pub(super) fn refresh(args: &RefreshArgs) -> ExitCode {
    act(&args.config, &format!("/api/v1/services/{}/refresh", args.service))
}

/// Reads the configuration and every file that it names.
pub(super) fn reload(args: &ReloadArgs) -> ExitCode {
    act(&args.config, "/api/v1/reload")
}

/// Prints the outcome of an action. Succeeds if it did.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the commands are for")]
fn act(config: &ConfigArg, path: &str) -> ExitCode {
    let outcome = Running::of(config).map(|running| running.post(path));
    match outcome {
        Err(code) => code,
        Ok(Err(message)) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
        Ok(Ok(outcome)) => {
            println!("{}", outcome["message"].as_str().unwrap_or_default());
            if outcome["ok"] == Value::Bool(true) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}
