//! `sidekey rotate`: a service gets a new secret.
//!
//! With a kind that has `previous`, the old secret is kept there first, so that requests go on with it until the upstream accepts
//! the new one. Without, the new secret is tested before it replaces the old one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_yaml::Value;
use zeroize::Zeroizing;

use super::change::{Change, ChangeOptions, Outcome};
use super::secret_option::{MAX_BYTES, SourceOption, TypedSecrets};
use super::terminal::Terminal;
use crate::cli::config_arg::ConfigArg;
use crate::cli::exit::EXIT_USAGE;
use crate::cli::test;
use crate::config::edit::ServicesText;
use crate::config::{Config, read_services_file};
use crate::credential::READERS;
use crate::diagnose::TestReport;
use crate::manage::{NewSecrets, ServicesFile, file_source, testable};
use crate::secret::{SecretCache, read_file, replace_file, write_new_file};

/// Time between two tests of the new secret.
const TEST_INTERVAL: Duration = Duration::from_secs(5);

/// Arguments of `sidekey rotate`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The service.
    name: String,
    /// The key under `auth` whose secret is replaced; required if several are read from files. In a list of credentials with the place
    /// of its credential, counted from 0: `1.token`.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Where the new secret comes from: stdin, prompt, or file:PATH. Default: a prompt if there is a terminal.
    #[arg(long, value_name = "SOURCE")]
    from: Option<String>,
    /// How long to wait until the upstream accepts the new secret, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// The path that the test GETs, appended to the path of `upstream`.
    #[arg(long, value_name = "PATH", default_value = "/")]
    test_path: String,
    #[command(flatten)]
    change: ChangeOptions,
    #[command(flatten)]
    config: ConfigArg,
}

/// Gives a service a new secret.
#[expect(clippy::print_stderr, reason = "an operator reads it")]
pub(in crate::cli) fn rotate(args: &Args) -> ExitCode {
    let rotation = Rotation::new(args).and_then(|rotation| rotation.run());
    match rotation {
        Ok(code) => code,
        Err(error) => {
            eprintln!("nothing was rotated: {error:#}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// A rotation that is possible.
struct Rotation<'a> {
    args: &'a Args,
    file: ServicesFile,
    terminal: Option<Terminal>,
    /// The path of the credential in the services file: that of the service, or one under `credentials`.
    auth: Vec<String>,
    /// The key of the secret in it.
    key: String,
    /// The file of the secret.
    secret: PathBuf,
}

/// A secret of a service that is read from a file.
struct SecretInFile {
    /// What `--key` calls it.
    option: String,
    /// The path of its credential in the services file.
    auth: Vec<String>,
    /// The key of the secret in that credential.
    key: String,
    path: PathBuf,
    /// Whether the credential stands in the main file, and the service in another one.
    is_in_main: bool,
}

/// The secrets of the credentials of a service that are read from files. `file` has the service.
fn secrets_in_files(service: &Value, name: &str, file: &ServicesFile) -> anyhow::Result<Vec<SecretInFile>> {
    let auth = service.get("auth").context("`auth` is missing")?;
    let own = vec!["services".to_owned(), name.to_owned(), "auth".to_owned()];
    let credentials: Vec<(String, Vec<String>, &Value)> = match auth.as_sequence() {
        None => vec![(String::new(), own, auth)],
        Some(list) => {
            let at =
                |(place, auth)| (format!("{place}."), [own.clone(), vec![format!("{place}")]].concat(), auth);
            list.iter().enumerate().map(at).collect()
        }
    };
    let main = if file.path == file.main { None } else { Some(ServicesFile::open(&file.main)?) };
    let mut found = Vec::new();
    for (prefix, own, auth) in credentials {
        let (auth, is_in_main) = match auth["use"].as_str() {
            Some(shared) => (vec!["credentials".to_owned(), shared.to_owned()], main.is_some()),
            None => (own, false),
        };
        let services = if is_in_main { main.as_ref().unwrap_or(file).services()? } else { file.services()? };
        let settings = services.get_at(&auth.iter().map(String::as_str).collect::<Vec<_>>());
        let settings = settings.and_then(Value::as_mapping).context("`auth` is not a mapping")?;
        for (key, value) in settings {
            let (Some(key), Some(path)) = (key.as_str(), value.get("file").and_then(Value::as_str)) else {
                continue;
            };
            if key != "previous" {
                let (option, path) = (format!("{prefix}{key}"), PathBuf::from(path.replace("$${", "${")));
                found.push(SecretInFile {
                    option,
                    auth: auth.clone(),
                    key: key.to_owned(),
                    path,
                    is_in_main,
                });
            }
        }
    }
    Ok(found)
}

impl<'a> Rotation<'a> {
    fn new(args: &'a Args) -> anyhow::Result<Self> {
        let file = ServicesFile::of_service(&args.config.config, &args.name)?;
        let services = file.services()?;
        let Some(service) = services.get(&args.name, &[]) else {
            bail!("{} has no service `{}`", file.path.display(), args.name);
        };
        let found = secrets_in_files(service, &args.name, &file)?;
        let chosen = match (&args.key, found.as_slice()) {
            (Some(key), _) => found.iter().position(|secret| secret.option == *key),
            (None, [_]) => Some(0),
            (None, _) => None,
        };
        let Some(chosen) = chosen else {
            let keys: Vec<_> = found.iter().map(|secret| secret.option.as_str()).collect();
            match keys.as_slice() {
                [] => bail!("`{}` reads no secret from a file; change it where it comes from", args.name),
                keys => bail!("`--key` is one of: {}", keys.join(", ")),
            }
        };
        let SecretInFile { auth, key, path, is_in_main, .. } =
            found.into_iter().nth(chosen).context("no secret")?;
        let file = if is_in_main { ServicesFile::open(&file.main)? } else { file };
        Ok(Self { args, terminal: Terminal::of_process(), auth, key, secret: path, file })
    }

    fn run(&self) -> anyhow::Result<ExitCode> {
        let old = read_file(&self.secret, MAX_BYTES)
            .with_context(|| format!("cannot read {}", self.secret.display()))?;
        let new = self.new_secret()?;
        if new.as_bytes() == old.strip_suffix(b"\n").unwrap_or(&old) {
            bail!("the new secret is the one that {} has", self.secret.display());
        }
        if self.has_previous()? { self.with_overlap(&old, &new) } else { self.tested_first(&new) }
    }

    fn new_secret(&self) -> anyhow::Result<Zeroizing<String>> {
        let mut typed = TypedSecrets::new(self.terminal.as_ref());
        let source = match &self.args.from {
            Some(source) => SourceOption::parse(source)?,
            None if self.terminal.is_some() => SourceOption::Prompt,
            None => SourceOption::Stdin,
        };
        match &source {
            SourceOption::Stdin => typed.read_line(&self.key),
            SourceOption::Prompt => typed.ask(&format!("The new `{}` of {}", self.key, self.args.name)),
            SourceOption::Configured(place) => {
                let path = place["file"].as_str().context("`--from` is `stdin`, `prompt` or `file:PATH`")?;
                let bytes =
                    read_file(Path::new(path), MAX_BYTES).with_context(|| format!("cannot read {path}"))?;
                let text =
                    std::str::from_utf8(&bytes).with_context(|| format!("{path} is not UTF-8 text"))?;
                Ok(Zeroizing::new(text.strip_suffix('\n').unwrap_or(text).to_owned()))
            }
        }
    }

    /// Whether the kind of credential has the key `previous`.
    fn has_previous(&self) -> anyhow::Result<bool> {
        let services = self.services()?;
        let kind = services.get_at(&self.path("type")).and_then(Value::as_str);
        let kind = READERS.kinds.iter().find(|known| Some(known.name) == kind);
        Ok(kind.is_some_and(|kind| kind.keys.iter().any(|key| key.name == "previous")))
    }

    /// Keeps the old secret as `previous`, writes the new one, and waits until the upstream accepts it.
    fn with_overlap(&self, old: &[u8], new: &str) -> anyhow::Result<ExitCode> {
        let kept = match self.previous_file()? {
            Some(previous) => self.keep_again(&previous, old)?,
            None => self.keep_first(old)?,
        };
        if let Outcome::Shown | Outcome::Not(_) = kept {
            return Ok(kept.exit_code());
        }
        self.write(new)?;
        self.await_acceptance()
    }

    /// Writes the old secret to a new file, which the services file names as `previous`.
    fn keep_first(&self, old: &[u8]) -> anyhow::Result<Outcome> {
        let services = self.services()?;
        let file = std::path::absolute(suffixed(&self.secret, ".previous"))?;
        write_new_file(&file, 0o600, old).with_context(|| format!("cannot write {}", file.display()))?;
        let written =
            services.set_at(&self.path("previous"), &file_source(&file)).map_err(anyhow::Error::from);
        let outcome = written.and_then(|text| {
            let (options, terminal) = (&self.args.change, self.terminal.as_ref());
            Change { file: &self.file, text, tested: None, may_add_plain_text: true, options, terminal }
                .make()
        });
        if !matches!(outcome, Ok(Outcome::Written)) {
            let _ = fs::remove_file(&file);
        }
        outcome
    }

    /// Writes the old secret to the file that the services file names as `previous`. What it has must not be in use any more.
    #[expect(clippy::print_stdout, reason = "an operator reads it")]
    fn keep_again(&self, previous: &Path, old: &[u8]) -> anyhow::Result<Outcome> {
        let report = self.test_without_previous()?;
        if !report.ok {
            bail!(
                "the last rotation may not be finished: the upstream does not accept the secret in {} ({})",
                self.secret.display(),
                report.summary
            );
        }
        println!("{} gets the secret that is in use now", previous.display());
        if self.args.change.is_dry_run() {
            return Ok(Outcome::Shown);
        }
        if !self.is_confirmed()? {
            return Ok(Outcome::Not(ExitCode::FAILURE));
        }
        let written = if previous.exists() {
            replace_file(previous, old)
        } else {
            write_new_file(previous, 0o600, old)
        };
        written.with_context(|| format!("cannot write {}", previous.display()))?;
        Ok(Outcome::Written)
    }

    /// Writes the new secret. A link to the file stays one.
    #[expect(clippy::print_stdout, reason = "an operator reads it")]
    fn write(&self, new: &str) -> anyhow::Result<()> {
        let target = self.secret.canonicalize();
        target
            .and_then(|target| replace_file(&target, new.as_bytes()))
            .with_context(|| format!("cannot write {}", self.secret.display()))?;
        println!("the new secret is in {}", self.secret.display());
        Ok(())
    }

    /// Whether a person agrees, or `--yes` does.
    #[expect(clippy::print_stderr, reason = "an operator reads it")]
    fn is_confirmed(&self) -> anyhow::Result<bool> {
        match &self.terminal {
            _ if self.args.change.is_confirmed() => Ok(true),
            Some(terminal) => terminal.confirm("Rotate it?", true),
            None => {
                eprintln!("nothing was rotated: `--yes` does it, and there is no terminal to ask at");
                Ok(false)
            }
        }
    }

    /// Waits until the upstream accepts the secret without `previous`.
    #[expect(clippy::print_stdout, clippy::print_stderr, reason = "an operator reads it")]
    fn await_acceptance(&self) -> anyhow::Result<ExitCode> {
        let end = Instant::now() + Duration::from_secs(self.args.wait);
        loop {
            let report = self.test_without_previous()?;
            if report.ok {
                println!("the upstream accepts the new secret");
                let previous = match self.auth.as_slice() {
                    [_, _, rest @ ..] if !rest.is_empty() => rest.join("."),
                    auth => auth.join("."),
                };
                println!(
                    "the old one is kept as `previous`, until: sidekey edit {} --unset {previous}.previous",
                    self.args.name
                );
                return Ok(ExitCode::SUCCESS);
            }
            if Instant::now() + TEST_INTERVAL > end {
                eprintln!("the upstream does not accept the new secret yet: {}", report.summary);
                eprintln!(
                    "requests go on with the old one, and change to the new one as soon as it is accepted"
                );
                return Ok(ExitCode::FAILURE);
            }
            std::thread::sleep(TEST_INTERVAL);
        }
    }

    /// Tests the new secret from a file of its own, and then replaces the old one.
    #[expect(clippy::print_stdout, clippy::print_stderr, reason = "an operator reads it")]
    fn tested_first(&self, new: &str) -> anyhow::Result<ExitCode> {
        let folder = self.secret.parent().unwrap_or(Path::new("."));
        let mut tried = NewSecrets::new(folder.to_owned());
        let name = self.secret.file_name().unwrap_or_default().to_string_lossy();
        let source = tried.write(&format!("{name}.{:08x}.tried", fastrand::u32(..)), new)?;
        let services = self.services()?;
        let report = self.test(&services.set_at(&self.path(&self.key), &source)?)?;
        print!("{}", test::text(&report));
        if !report.ok {
            eprintln!("nothing was rotated: the test with the new secret failed");
            return Ok(ExitCode::FAILURE);
        }
        if self.args.change.is_dry_run() {
            return Ok(ExitCode::SUCCESS);
        }
        if !self.is_confirmed()? {
            return Ok(ExitCode::FAILURE);
        }
        self.write(new)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The file that the services file names as `previous`.
    fn previous_file(&self) -> anyhow::Result<Option<PathBuf>> {
        let services = self.services()?;
        let Some(previous) = services.get_at(&self.path("previous")) else { return Ok(None) };
        let Some(file) = previous.get("file").and_then(Value::as_str) else {
            bail!("`previous` of `{}` is read from elsewhere than a file", self.args.name)
        };
        Ok(Some(PathBuf::from(file.replace("$${", "${"))))
    }

    fn test_without_previous(&self) -> anyhow::Result<TestReport> {
        // The services file may have got it since it was read.
        let text = read_services_file(&self.file.path)?;
        let services = ServicesText::parse(&text)?;
        let path = self.path("previous");
        match services.get_at(&path) {
            Some(_) => self.test(&services.remove_at(&path)?),
            None => self.test(&text),
        }
    }

    /// The services file as it was when the command began.
    fn services(&self) -> anyhow::Result<ServicesText<'_>> {
        Ok(ServicesText::parse(self.file.text())?)
    }

    /// The path of a key of the credential, from the root of the services file.
    fn path<'p>(&'p self, key: &'p str) -> Vec<&'p str> {
        self.auth.iter().map(String::as_str).chain([key]).collect()
    }

    fn test(&self, text: &str) -> anyhow::Result<TestReport> {
        let (main, secrets) = (&self.file.main, SecretCache::default());
        let config = Config::load_draft(main, &self.file.draft(text), &secrets, READERS)?;
        testable(&self.args.name, &self.args.test_path, &config, main).map_err(anyhow::Error::msg)?;
        test::report(&self.args.name, &self.args.test_path, &config)
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}
