//! `sidekey remove`: a service is taken out of the services file.

use std::process::ExitCode;

use super::change::{Change, ChangeOptions, Outcome, finish};
use super::terminal::Terminal;
use crate::cli::config_arg::ConfigArg;
use crate::config::edit::ServicesText;
use crate::manage::{ServicesFile, secret_files};

/// Arguments of `sidekey remove`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The service.
    name: String,
    #[command(flatten)]
    change: ChangeOptions,
    #[command(flatten)]
    config: ConfigArg,
}

/// Removes a service.
pub(in crate::cli) fn remove(args: &Args) -> ExitCode {
    finish("removed", remove_service(args))
}

#[expect(clippy::print_stdout, reason = "an operator reads it")]
fn remove_service(args: &Args) -> anyhow::Result<Outcome> {
    let file = ServicesFile::of_service(&args.config.config, &args.name)?;
    let services = file.services()?;
    let text = services.remove(&args.name).map_err(|error| file.edit_error(error))?;
    let left = ServicesText::parse(&text).map_err(|error| file.edit_error(error))?;
    let unused: Vec<_> =
        secret_files(services.value()).difference(&secret_files(left.value())).cloned().collect();
    let terminal = Terminal::of_process();
    let change = Change {
        file: &file,
        text,
        tested: None,
        may_add_plain_text: true,
        options: &args.change,
        terminal: terminal.as_ref(),
    };
    let outcome = change.make()?;
    if matches!(outcome, Outcome::Written) {
        for path in unused {
            println!("no longer used by this file, and still there: {path}");
        }
    }
    Ok(outcome)
}
