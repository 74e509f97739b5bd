//! `sidekey add`: a new service, from a preset.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_yaml::Value;

use super::change::{Change, ChangeOptions, Outcome, TestOptions, Tested, finish, secrets_folder};
use super::secret_option::{SecretOption, SourceOption, TypedSecrets};
use super::terminal::Terminal;
use crate::cli::config_arg::ConfigArg;
use crate::config::edit::{ServicesText, entry};
use crate::manage::{NewSecrets, ServicesFile, secret_file_name};
use crate::presets;
use crate::presets::{Answers, Preset, Question, SecretQuestion};

/// Arguments of `sidekey add`. What is not given is asked for, if there is a terminal.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The name of the new service: the first segment of the paths that lead to it.
    name: Option<String>,
    /// The provider, or the kind of credential. `--list` prints them.
    #[arg(short, long, value_name = "ID")]
    provider: Option<String>,
    /// Print the providers, and what each of them asks for.
    #[arg(long, exclusive = true)]
    list: bool,
    /// The file that gets the service, if it is not the main one: a file that `include` leads to, or a new one in such a folder.
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
    /// An answer to a question of the provider that is not secret.
    #[arg(long, value_name = "QUESTION=ANSWER", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Where a secret is read from: NAME=file:PATH, env:NAME, exec:[COMMAND, ARGUMENT], vault:PATH#FIELD,
    /// aws_secrets_manager:ID#FIELD, stdin or prompt. A secret that is read from standard input (one line each) or typed is kept in a new file of mode 0600.
    #[arg(long, value_name = "NAME=SOURCE")]
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

/// `KEY=VALUE`
pub(super) fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("not KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Adds a service.
pub(in crate::cli) fn add(args: &Args) -> ExitCode {
    if args.list {
        list();
        return ExitCode::SUCCESS;
    }
    finish("added", add_service(args))
}

fn add_service(args: &Args) -> anyhow::Result<Outcome> {
    let main = &args.config.config;
    let file = match &args.into {
        Some(path) => ServicesFile::included(main, path)?,
        None => ServicesFile::open_or_new(main)?,
    };
    let services = ServicesText::parse(file.text()).with_context(|| format!("{}", file.path.display()))?;
    let terminal = Terminal::of_process();
    let asked = Asked { args, terminal: terminal.as_ref() };
    let preset = asked.preset()?;
    let name = asked.name(preset, &services)?;
    asked.require(preset)?;
    let mut secrets = NewSecrets::new(secrets_folder(&file, args.secrets_dir.as_ref()));
    let answers =
        Answers { texts: asked.texts(preset)?, secrets: asked.secrets(preset, &name, &mut secrets)? };
    let service = preset.fill(&answers)?;
    let test_path = preset.filled_test_path(&answers);
    let change = Change {
        text: services.insert(&name, &service).with_context(|| format!("{}", file.path.display()))?,
        file: &file,
        tested: Some(Tested { service: &name, options: &args.test, default_path: test_path.as_deref() }),
        may_add_plain_text: true,
        options: &args.change,
        terminal: terminal.as_ref(),
    };
    let outcome = change.make()?;
    if matches!(outcome, Outcome::Written) {
        explain(args, preset, &name, &secrets.keep());
    }
    Ok(outcome)
}

#[expect(clippy::print_stdout, reason = "an operator reads it")]
fn explain(args: &Args, preset: &Preset, name: &str, files: &[PathBuf]) {
    for file in files {
        println!("secret:  {} (mode 0600)", file.display());
    }
    for note in &preset.notes {
        println!("note:    {note}");
    }
    let config = args.config.config.display();
    println!(
        "A Sidekey that runs with {config} uses it within seconds: GET /{name}/… on its address for callers."
    );
}

#[expect(clippy::print_stdout, reason = "an operator reads it")]
fn list() {
    for preset in presets::all() {
        println!("{:<24} {}", preset.id, preset.title);
        for question in &preset.answers {
            let default =
                question.default.as_ref().map(|default| format!(" [{default}]")).unwrap_or_default();
            let optional = if question.optional { " (optional)" } else { "" };
            println!("    --set {}=…  {}{default}{optional}", question.name, question.prompt);
        }
        for secret in &preset.secrets {
            println!("    --secret {}=…  {}", secret.name, secret.prompt);
        }
    }
}

/// What options and a person answer.
struct Asked<'a> {
    args: &'a Args,
    terminal: Option<&'a Terminal>,
}

impl Asked<'_> {
    fn preset(&self) -> anyhow::Result<&'static Preset> {
        if let Some(id) = &self.args.provider {
            return presets::find(id)
                .with_context(|| format!("no provider `{id}`; `sidekey add --list` prints them"));
        }
        let Some(terminal) = self.terminal else {
            bail!("`--provider` is required; `sidekey add --list` prints the providers")
        };
        let titles: Vec<_> =
            presets::all().iter().map(|preset| format!("{} ({})", preset.title, preset.id)).collect();
        Ok(&presets::all()[terminal.search("Provider, or kind of credential", &titles)?])
    }

    fn name(&self, preset: &Preset, services: &ServicesText<'_>) -> anyhow::Result<String> {
        let is_free = |name: &str| match services.get(name, &[]) {
            Some(_) => Err(format!("there is a service `{name}` already; `sidekey edit {name}` changes it")),
            None => Ok(()),
        };
        if let Some(name) = &self.args.name {
            is_free(name).map_err(anyhow::Error::msg)?;
            return Ok(name.clone());
        }
        match self.terminal {
            Some(terminal) => terminal.ask("Name of the service", Some(&preset.id), is_free),
            None => is_free(&preset.id).map(|()| preset.id.clone()).map_err(anyhow::Error::msg),
        }
    }

    /// Without a terminal each answer is an option: an error names all that are missing. A name that is wrong is told first, elsewhere.
    fn require(&self, preset: &Preset) -> anyhow::Result<()> {
        if self.terminal.is_some() {
            return Ok(());
        }
        let given = SecretOption::parse_all(&self.args.secret)?;
        let is_known = |name: &str| preset.answers.iter().any(|question| question.name == name);
        let is_secret = |name: &str| preset.secrets.iter().any(|secret| secret.name == name);
        if !self.args.set.iter().all(|(name, _)| is_known(name))
            || !given.iter().all(|given| is_secret(&given.name))
        {
            return Ok(());
        }
        let is_missing = |question: &&Question| {
            let is_set = self.args.set.iter().any(|(name, _)| *name == question.name);
            !is_set && !question.optional && question.default.is_none()
        };
        let texts =
            preset.answers.iter().filter(is_missing).map(|question| format!("`--set {}=…`", question.name));
        let secrets =
            preset.secrets.iter().filter(|secret| given.iter().all(|given| given.name != secret.name));
        let secrets = secrets.map(|secret| format!("`--secret {}=SOURCE`", secret.name));
        let missing: Vec<_> = texts.chain(secrets).collect();
        match missing.len() {
            0 => Ok(()),
            1 => bail!("{} is required", missing[0]),
            _ => bail!("{} are required", missing.join(", ")),
        }
    }

    fn texts(&self, preset: &Preset) -> anyhow::Result<BTreeMap<String, String>> {
        let mut texts: BTreeMap<_, _> = self.args.set.iter().cloned().collect();
        if let Some(terminal) = self.terminal {
            for question in &preset.answers {
                if !texts.contains_key(&question.name) {
                    texts.insert(question.name.clone(), ask(terminal, question)?);
                }
            }
        }
        Ok(texts)
    }

    fn secrets(
        &self,
        preset: &Preset,
        service: &str,
        files: &mut NewSecrets,
    ) -> anyhow::Result<BTreeMap<String, Value>> {
        let mut typed = TypedSecrets::new(self.terminal);
        let mut secrets = BTreeMap::new();
        let given = SecretOption::parse_all(&self.args.secret)?;
        for given in &given {
            if !preset.secrets.iter().any(|secret| secret.name == given.name) {
                let names: Vec<_> = preset.secrets.iter().map(|secret| secret.name.as_str()).collect();
                bail!("`{}` has the secrets: {}", preset.id, names.join(", "));
            }
        }
        for secret in &preset.secrets {
            let given = given.iter().find(|given| given.name == secret.name);
            let source = match (given, self.terminal) {
                (Some(given), _) => given.source.clone(),
                (None, Some(terminal)) => choose_source(terminal, preset, secret)?,
                (None, None) => bail!("no secret `{}`", secret.name),
            };
            let file = secret_file_name(service, &secret.name);
            let place = typed.place(&source, (&secret.name, &secret.prompt), &file, files)?;
            secrets.insert(secret.name.clone(), place);
        }
        Ok(secrets)
    }
}

fn ask(terminal: &Terminal, question: &Question) -> anyhow::Result<String> {
    let prompt =
        if question.optional { format!("{} (optional)", question.prompt) } else { question.prompt.clone() };
    terminal.ask(&prompt, question.default.as_deref(), |answer| question.check(answer))
}

fn choose_source(
    terminal: &Terminal,
    preset: &Preset,
    secret: &SecretQuestion,
) -> anyhow::Result<SourceOption> {
    let obtain = preset.obtain.as_ref().map(|obtain| format!(" ({obtain})")).unwrap_or_default();
    let prompt = format!("{}{obtain}: where is it?", secret.prompt);
    let sources =
        ["I type it here; it is kept in a file of mode 0600", "in a file", "in an environment variable"];
    let required = |text: &str| if text.is_empty() { Err("is required".to_owned()) } else { Ok(()) };
    let (key, text) = match terminal.choose(&prompt, &sources)? {
        0 => return Ok(SourceOption::Prompt),
        1 => ("file", terminal.ask("Path of the file", None, required)?),
        _ => ("env", terminal.ask("Name of the variable", None, required)?),
    };
    Ok(SourceOption::Configured(entry(key, text)))
}
