//! `sidekey edit`: keys of a service are changed, by options or in an editor.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_yaml::Value;

use super::add::pair;
use super::change::{Change, ChangeOptions, Outcome, TestOptions, Tested, finish, secrets_folder};
use super::editor;
use super::secret_option::{SecretOption, TypedSecrets};
use super::terminal::Terminal;
use crate::cli::config_arg::ConfigArg;
use crate::config::edit::ServicesText;
use crate::manage::{NewSecrets, ServicesFile, secret_file_name};

/// Arguments of `sidekey edit`. Without a change among them, the service is opened in `$VISUAL` or `$EDITOR`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The service.
    name: String,
    /// Another value for a key of the service, such as `timeouts.total=2m` or `scopes=[a, b]`. The value is YAML.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// A key that is removed.
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    /// Where a secret is read from: `auth.token=file:PATH`, or env:NAME, exec:[COMMAND, ARGUMENT], stdin or prompt.
    #[arg(long, value_name = "KEY=SOURCE")]
    secret: Vec<String>,
    /// The folder of new secret files.
    #[arg(long, value_name = "FOLDER")]
    secrets_dir: Option<PathBuf>,
    #[command(flatten)]
    change: ChangeOptions,
    #[command(flatten)]
    test: TestOptions,
    #[command(flatten)]
    config: ConfigArg,
}

/// Changes a service.
pub(in crate::cli) fn edit(args: &Args) -> ExitCode {
    finish("changed", edit_service(args))
}

fn edit_service(args: &Args) -> anyhow::Result<Outcome> {
    let file = ServicesFile::of_service(&args.config.config, &args.name)?;
    let terminal = Terminal::of_process();
    let mut secrets = NewSecrets::new(secrets_folder(&file, args.secrets_dir.as_ref()));
    let text = if args.set.is_empty() && args.unset.is_empty() && args.secret.is_empty() {
        if terminal.is_none() {
            bail!("`--set`, `--unset` or `--secret` is required: there is no terminal for an editor");
        }
        editor::edited(&file, &args.name)?
    } else {
        changed_by_options(args, &file, terminal.as_ref(), &mut secrets)?
    };
    let change = Change {
        file: &file,
        text,
        tested: Some(Tested { service: &args.name, options: &args.test, default_path: Some("/") }),
        // What a person writes in an editor is no argument.
        may_add_plain_text: args.set.is_empty(),
        options: &args.change,
        terminal: terminal.as_ref(),
    };
    let outcome = change.make()?;
    if matches!(outcome, Outcome::Written) {
        secrets.keep();
    }
    Ok(outcome)
}

fn changed_by_options(
    args: &Args,
    file: &ServicesFile,
    terminal: Option<&Terminal>,
    secrets: &mut NewSecrets,
) -> anyhow::Result<String> {
    let mut text = file.text().to_owned();
    let mut apply = |change: &dyn Fn(&ServicesText<'_>) -> Result<String, _>| -> anyhow::Result<()> {
        let changed = ServicesText::parse(&text).and_then(|services| change(&services));
        text = changed.with_context(|| file.path.display().to_string())?;
        Ok(())
    };
    for (key, value) in &args.set {
        let value: Value = serde_yaml::from_str(value)
            .map_err(|_| anyhow::anyhow!("the value of `{key}` is not valid YAML"))?;
        apply(&|services| services.set(&args.name, &path(key), &value))?;
    }
    let mut typed = TypedSecrets::new(terminal);
    for SecretOption { name: key, source } in &SecretOption::parse_all(&args.secret)? {
        let new_file = secret_file_name(&args.name, key);
        let place = typed.place(source, (key, key), &new_file, secrets)?;
        apply(&|services| services.set(&args.name, &path(key), &place))?;
    }
    for key in &args.unset {
        apply(&|services| services.unset(&args.name, &path(key)))?;
    }
    Ok(text)
}

fn path(key: &str) -> Vec<&str> {
    key.split('.').collect()
}
