//! `sidekey enable` and `sidekey disable`: a service is switched on or off, and its settings stay.

use std::process::ExitCode;

use super::change::{Change, ChangeOptions, Outcome, TestOptions, Tested, finish};
use super::terminal::Terminal;
use crate::cli::config_arg::ConfigArg;
use crate::manage::{ServicesFile, switched};

/// Arguments of `sidekey enable`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EnableArgs {
    /// The service.
    name: String,
    #[command(flatten)]
    change: ChangeOptions,
    #[command(flatten)]
    test: TestOptions,
    #[command(flatten)]
    config: ConfigArg,
}

/// Arguments of `sidekey disable`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DisableArgs {
    /// The service.
    name: String,
    #[command(flatten)]
    change: ChangeOptions,
    #[command(flatten)]
    config: ConfigArg,
}

/// Switches a service on.
pub(in crate::cli) fn enable(args: &EnableArgs) -> ExitCode {
    let tested = Tested { service: &args.name, options: &args.test, default_path: Some("/") };
    finish("changed", toggle(&args.name, true, Some(tested), &args.change, &args.config))
}

/// Switches a service off.
pub(in crate::cli) fn disable(args: &DisableArgs) -> ExitCode {
    finish("changed", toggle(&args.name, false, None, &args.change, &args.config))
}

fn toggle(
    name: &str,
    is_enabled: bool,
    tested: Option<Tested<'_>>,
    options: &ChangeOptions,
    config: &ConfigArg,
) -> anyhow::Result<Outcome> {
    let file = ServicesFile::of_service(&config.config, name)?;
    let text = switched(file.text(), name, is_enabled).map_err(|error| file.edit_error(error))?;
    let terminal = Terminal::of_process();
    Change { file: &file, text, tested, may_add_plain_text: true, options, terminal: terminal.as_ref() }
        .make()
}
