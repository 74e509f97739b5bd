//! `sidekey remove`: a service is taken out of the services file.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Context;
use serde_yaml::Value;

use super::change::{Change, ChangeOptions, Outcome, finish};
use super::services_file::ServicesFile;
use super::terminal::Terminal;
use crate::cli::config_arg::ConfigArg;
use crate::config::edit::ServicesText;

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
    let place = || file.path.display().to_string();
    let services = ServicesText::parse(file.text()).with_context(place)?;
    let text = services.remove(&args.name).with_context(place)?;
    let left = ServicesText::parse(&text).with_context(place)?;
    let unused: Vec<_> = secret_files(&services).difference(&secret_files(&left)).cloned().collect();
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

/// The files that the services file reads secrets from.
fn secret_files(services: &ServicesText<'_>) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    collect(services.value(), &mut files);
    files
}

fn collect(value: &Value, files: &mut BTreeSet<String>) {
    match value {
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, files)),
        Value::Mapping(entries) => {
            files.extend(entries.get("file").and_then(Value::as_str).map(str::to_owned));
            entries.values().for_each(|value| collect(value, files));
        }
        _ => {}
    }
}
