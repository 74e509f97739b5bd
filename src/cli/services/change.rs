//! A change of the services file: checked, shown, tested, and then written.

use std::path::PathBuf;
use std::process::ExitCode;

use super::terminal::Terminal;
use crate::cli::exit::{EXIT_CONFIG, EXIT_USAGE};
use crate::cli::test;
use crate::config::Config;
use crate::manage::{NO_TEST_PATH, Plan, ServicesFile, why_not_tested};
use crate::secret::SecretCache;

/// Prints why a command did nothing, if it failed. Returns the exit code. `done` says what was not done.
#[expect(clippy::print_stderr, reason = "an operator reads it")]
pub(super) fn finish(done: &str, outcome: anyhow::Result<Outcome>) -> ExitCode {
    match outcome {
        Ok(outcome) => outcome.exit_code(),
        Err(error) => {
            eprintln!("nothing was {done}: {error:#}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// Options of every command that changes the services file.
#[derive(Debug, clap::Args)]
pub(super) struct ChangeOptions {
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask whether the change is to be written.
    #[arg(short, long)]
    yes: bool,
    /// Read no secret, key or certificate: for a services file whose secrets are on another machine. Implies --no-test.
    #[arg(long)]
    without_secrets: bool,
}

impl ChangeOptions {
    /// Whether nothing is to be changed.
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Whether no question is to be asked.
    pub(super) fn is_confirmed(&self) -> bool {
        self.yes
    }
}

/// Options of a command whose result is tested.
#[derive(Debug, clap::Args)]
pub(super) struct TestOptions {
    /// Write the change without a test of the service.
    #[arg(long)]
    no_test: bool,
    /// The path that the test GETs, appended to the path of `upstream`.
    #[arg(long, value_name = "PATH")]
    test_path: Option<String>,
}

/// A services file, and the text that it is to have.
pub(super) struct Change<'c> {
    pub(super) file: &'c ServicesFile,
    pub(super) text: String,
    /// The service that is tested.
    pub(super) tested: Option<Tested<'c>>,
    /// Whether the change may put a secret into the file in plain text.
    pub(super) may_add_plain_text: bool,
    pub(super) options: &'c ChangeOptions,
    pub(super) terminal: Option<&'c Terminal>,
}

/// A service that is tested before it is written.
pub(super) struct Tested<'c> {
    pub(super) service: &'c str,
    pub(super) options: &'c TestOptions,
    /// The path if the operator names none.
    pub(super) default_path: Option<&'c str>,
}

/// What became of a change.
pub(super) enum Outcome {
    /// The file has it.
    Written,
    /// It would have been written.
    Shown,
    /// Nothing was written, and the reason was printed.
    Not(ExitCode),
}

impl Outcome {
    pub(super) fn exit_code(self) -> ExitCode {
        match self {
            Self::Written | Self::Shown => ExitCode::SUCCESS,
            Self::Not(code) => code,
        }
    }
}

impl Change<'_> {
    /// Makes the change.
    ///
    /// # Errors
    ///
    /// If a question is not answered, or the file cannot be written.
    #[expect(clippy::print_stdout, clippy::print_stderr, reason = "an operator reads it")]
    pub(super) fn make(&self) -> anyhow::Result<Outcome> {
        if self.text == self.file.text() {
            println!("{} is as it should be; nothing changes", self.file.path.display());
            return Ok(Outcome::Written);
        }
        let secrets = if self.options.without_secrets {
            SecretCache::with_placeholders()
        } else {
            SecretCache::default()
        };
        let plan = match Plan::new(self.file, &self.text, &secrets) {
            Ok(plan) => plan,
            Err(error) => {
                eprintln!(
                    "nothing was changed, because of what {} would then be:\n{error}",
                    self.file.main.display()
                );
                return Ok(Outcome::Not(ExitCode::from(EXIT_CONFIG)));
            }
        };
        if !self.may_add_plain_text && plan.adds_plain_text() {
            eprintln!(
                "nothing was changed: a secret is no argument, because every process of this machine can read those; \
                 `--secret KEY=stdin` or `KEY=prompt` keeps it in a file"
            );
            return Ok(Outcome::Not(ExitCode::from(EXIT_USAGE)));
        }
        println!("{}", self.file.path.display());
        print!("{}", plan.changed_lines(self.file, &self.text));
        if self.options.dry_run {
            return Ok(Outcome::Shown);
        }
        if !self.options.yes && self.terminal.is_none() {
            eprintln!("nothing was changed: `--yes` writes it, and there is no terminal to ask at");
            return Ok(Outcome::Not(ExitCode::from(EXIT_USAGE)));
        }
        if !self.passes_test(&plan.config)? {
            return Ok(Outcome::Not(ExitCode::FAILURE));
        }
        self.file.write(&self.text)?;
        println!("written: {}", self.file.path.display());
        Ok(Outcome::Written)
    }

    /// Tests the service, and asks whether the change is to be written.
    #[expect(clippy::print_stdout, clippy::print_stderr, reason = "an operator reads it")]
    fn passes_test(&self, config: &Config) -> anyhow::Result<bool> {
        let tested =
            self.tested.as_ref().filter(|tested| !tested.options.no_test && !self.options.without_secrets);
        let is_good = match tested.map(|tested| (tested, tested.run(config, &self.file.main))) {
            None => true,
            Some((_, TestOutcome::NotTested(why))) => {
                println!("not tested: {why}");
                true
            }
            Some((_, TestOutcome::Tested { text, ok })) => {
                print!("\n{text}");
                ok
            }
        };
        match self.terminal.filter(|_| !self.options.yes) {
            Some(terminal) if is_good => terminal.confirm("Write it?", true),
            Some(terminal) => terminal.confirm("The test failed. Write it all the same?", false),
            None if is_good => Ok(true),
            None => {
                eprintln!("nothing was changed: the test failed, and `--no-test` writes it without one");
                Ok(false)
            }
        }
    }
}

enum TestOutcome {
    NotTested(String),
    Tested { text: String, ok: bool },
}

impl Tested<'_> {
    fn run(&self, config: &Config, file: &std::path::Path) -> TestOutcome {
        let Some(path) = self.options.test_path.as_deref().or(self.default_path) else {
            return TestOutcome::NotTested(NO_TEST_PATH.to_owned());
        };
        if let Some(why) = why_not_tested(self.service, path, config, file) {
            return TestOutcome::NotTested(why);
        }
        match test::report(self.service, path, config) {
            Ok(report) => TestOutcome::Tested { text: test::text(&report), ok: report.ok },
            Err(error) => TestOutcome::Tested { text: format!("cannot test it: {error:#}\n"), ok: false },
        }
    }
}

/// The folder of new secret files: next to the services file, unless the operator names one.
pub(super) fn secrets_folder(file: &ServicesFile, given: Option<&PathBuf>) -> PathBuf {
    match given {
        Some(folder) => std::path::absolute(folder).unwrap_or_else(|_| folder.clone()),
        None => file.folder().join("secrets"),
    }
}
