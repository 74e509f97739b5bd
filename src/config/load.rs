//! Reads a file or a text, with all that it includes, into a [`Config`].
//!
//! A mistake is reported with the file and the line in which it stands. What follows from one depends on who reads:
//!
//! - Commands such as `check` are strict: any error is an error of the whole.
//! - A process that serves holds back what has a mistake ([`settle`](super::settle)). A mistake outside of services is one of the whole.

use std::io::Read;
use std::path::Path;

use super::callers::access;
use super::callers::access::ServiceNames;
use super::file;
use super::file::{FILE, INCLUDED, MainFile};
use super::inactive::LastGood;
use super::manage;
use super::model::Config;
use super::name_constraints;
use super::reader::document;
use super::reader::document::EMPTY;
use super::reader::error::ConfigError;
use super::reader::interpolate::Environment;
use super::reader::location::FileId;
use super::reader::report::Report;
use super::reader::table::Format;
use super::reader::tree::{Kind, Node};
use super::reader::value::Value;
use super::readers::Readers;
use super::secret_stores;
use super::selection::Selection;
use super::service::claimed::Claimed;
use super::settle::{FileServices, Settled, settle};
use super::source;
use super::source::Included;
use super::watched_files::{FileKind, WatchedFile};
use crate::secret::SecretCache;

/// What follows from a mistake in a service or in an included file.
#[derive(Clone, Copy)]
pub(super) enum Mistakes<'l> {
    /// The whole configuration is rejected.
    Reject,
    /// What has it is held back, or runs with the settings from before, if there are any.
    HoldBack(Option<&'l LastGood>),
}

/// A text to read.
pub(super) struct Input<'i> {
    pub(super) text: &'i str,
    /// Its name in error messages.
    pub(super) name: &'i str,
    /// The file, if it is one.
    pub(super) path: Option<&'i Path>,
    /// The folder that paths of `include` are relative to.
    pub(super) folder: &'i Path,
    /// Which of the services are read.
    pub(super) selection: &'i Selection,
    /// An included file, and a text that is read in place of its content. The file need not exist.
    pub(super) replaced: Option<(&'i Path, &'i str)>,
}

impl<'i> Input<'i> {
    /// A text. Paths are relative to the folder of the file of that name.
    pub(super) fn new(text: &'i str, name: &'i str, path: Option<&'i Path>) -> Self {
        let folder = Path::new(name).parent().unwrap_or(Path::new(""));
        Self { text, name, path, folder, selection: &Selection::All, replaced: None }
    }
}

impl Config {
    /// Reads a file, and fetches its secrets.
    pub fn load(path: &Path, readers: Readers) -> Result<Self, ConfigError> {
        Self::load_with(path, &SecretCache::default(), readers)
    }

    /// Reads a file. Secrets from sources that are polled are those in `secrets`, or fetched if it has none.
    pub fn load_with(path: &Path, secrets: &SecretCache, readers: Readers) -> Result<Self, ConfigError> {
        Self::load_selected(path, &Selection::All, secrets, readers)
    }

    /// Reads a part of a file, as [`load_with`](Self::load_with) reads all of it.
    pub fn load_selected(
        path: &Path,
        selection: &Selection,
        secrets: &SecretCache,
        readers: Readers,
    ) -> Result<Self, ConfigError> {
        Self::load_file(path, selection, secrets, readers, Mistakes::Reject)
    }

    /// Reads a file as [`load_with`](Self::load_with) does, and holds back services that have a mistake. Those of `last_good` go on
    /// with their previous settings. Without it, at a start, it is an error if no service can run.
    pub fn load_usable(
        path: &Path,
        secrets: &SecretCache,
        readers: Readers,
        last_good: Option<&LastGood>,
    ) -> Result<Self, ConfigError> {
        Self::load_file(path, &Selection::All, secrets, readers, Mistakes::HoldBack(last_good))
    }

    fn load_file(
        path: &Path,
        selection: &Selection,
        secrets: &SecretCache,
        readers: Readers,
        mistakes: Mistakes<'_>,
    ) -> Result<Self, ConfigError> {
        let seen = WatchedFile::fingerprint(path, FileKind::Config);
        let name = path.display().to_string();
        let config = document::read_file(path).and_then(|text| {
            let input = Input { selection, ..Input::new(&text, &name, Some(path)) };
            Self::read(&input, &|name| std::env::var_os(name), secrets, readers, mistakes)
        });
        match config {
            Ok(mut config) => {
                config.files.push(seen);
                Ok(config)
            }
            Err(error) => Err(error.with_files(vec![seen])),
        }
    }

    /// Reads the files of a folder as a main file would include them.
    pub fn load_folder(folder: &Path, secrets: &SecretCache, readers: Readers) -> Result<Self, ConfigError> {
        let name = folder.display().to_string();
        // JSON is YAML. A variable in the path would be replaced.
        let text = format!("include: {}", serde_json::Value::from(name.replace("${", "$${")));
        let input = Input { folder: Path::new(""), ..Input::new(&text, &name, None) };
        Self::read(&input, &|name| std::env::var_os(name), secrets, readers, Mistakes::Reject)
    }

    /// Reads a text; `file` is its name in error messages.
    pub fn parse(text: &str, file: &str, readers: Readers) -> Result<Self, ConfigError> {
        Self::parse_with(text, file, &|name| std::env::var_os(name), readers)
    }

    /// Reads a text; environment variables come from a function.
    pub fn parse_with(
        text: &str,
        file: &str,
        environment: &Environment<'_>,
        readers: Readers,
    ) -> Result<Self, ConfigError> {
        let input = Input::new(text, file, None);
        Self::read(&input, environment, &SecretCache::default(), readers, Mistakes::Reject)
    }

    /// Reads an input to its end; `file` is its name in error messages. Secrets as [`load_with`](Self::load_with) has them.
    pub fn parse_input(
        input: &mut impl Read,
        file: &str,
        secrets: &SecretCache,
        readers: Readers,
    ) -> Result<Self, ConfigError> {
        let text = document::read_input(input, file)?;
        let input = Input::new(&text, file, None);
        Self::read(&input, &|name| std::env::var_os(name), secrets, readers, Mistakes::Reject)
    }

    pub(super) fn read(
        input: &Input<'_>,
        environment: &Environment<'_>,
        secrets: &SecretCache,
        readers: Readers,
        mistakes: Mistakes<'_>,
    ) -> Result<Self, ConfigError> {
        let report = match mistakes {
            Mistakes::HoldBack(Some(last_good)) => Report::following(environment, secrets, &last_good.files),
            _ => Report::new(environment, secrets),
        };
        let config = Self::read_reporting(input, readers, mistakes, &report);
        let plain_values = report.take_plain_values();
        let (_, mut warnings, files) = report.into_parts();
        warnings
            .sort_by_cached_key(|warning| (warning.file != input.name, warning.file.clone(), warning.line));
        match config {
            Ok(config) => Ok(Self { warnings, plain_values, files, ..config }),
            Err(error) => Err(error.with_files(files)),
        }
    }

    /// Reads an input without its warnings and files, which are in the report.
    pub(super) fn read_reporting(
        input: &Input<'_>,
        readers: Readers,
        mistakes: Mistakes<'_>,
        report: &Report<'_>,
    ) -> Result<Self, ConfigError> {
        let name = input.name;
        let file = report.add_file(name);
        if let Some(path) = input.path {
            source::warn_if_exposed(path, file, report);
        }
        let mut root = document::parse(input.text, file, name)
            .map_err(|diagnostics| ConfigError::new(name, diagnostics))?;
        if matches!(root.kind, Kind::Null) {
            return Err(ConfigError::whole(name, EMPTY.into()));
        }
        let (mut included, mut errors) = report.collect(|| {
            source::resolve_main(&mut root, report);
            source::included(&root, input.folder, input.path, input.replaced, report)
        });
        input
            .selection
            .apply(&mut root, &mut included)
            .map_err(|message| ConfigError::whole(name, message))?;
        let (config, of_sections) =
            report.collect(|| read_all(name, (&root, input.folder), &included, readers, mistakes, report));
        errors.extend(of_sections);
        match config {
            Some(config) if errors.is_empty() && mistakes.allow(&config) => Ok(config),
            config => {
                let problems = config.into_iter().flat_map(|config| config.problems);
                errors.extend(problems.flat_map(|problem| problem.errors));
                Err(ConfigError::new(name, errors))
            }
        }
    }
}

impl Mistakes<'_> {
    /// Whether a configuration whose main file is valid can be used.
    fn allow(self, config: &Config) -> bool {
        match self {
            _ if config.problems.is_empty() => true,
            Self::Reject => false,
            // A process that serves nothing because of a mistake does not start. A store of secrets may answer later.
            Self::HoldBack(last_good) => {
                last_good.is_some() || !config.services.is_empty() || config.is_waiting_for_a_store()
            }
        }
    }
}

/// Reads all files. `None` means that an error was reported; with `Some` one may have been reported as well.
fn read_all<'a>(
    name: &'a str,
    (root, folder): (&'a Node, &Path),
    included: &'a [Included],
    readers: Readers,
    mistakes: Mistakes<'_>,
    report: &'a Report<'a>,
) -> Option<Config> {
    let none = LastGood::default();
    let last_good = match mistakes {
        Mistakes::HoldBack(Some(last_good)) => last_good,
        _ => &none,
    };
    let value = |root, tables| Value::root(root, report, Format::Keys(tables), readers.sources);
    let MainFile { mut config, services, callers, roles, intercept, stores, mut shared, addresses } =
        file::read(&value(root, FILE), readers)?;
    manage::settle(&mut config.admin, root, folder, report);
    let mut claimed = Claimed::default();
    claimed.claim_addresses(addresses, report);
    let entry_errors = |file| report.collect_entry(&source::entries_spot(file), || ()).1;
    let main = FileServices {
        name,
        services: Ok(services),
        errors: Vec::new(),
        entry_errors: entry_errors(FileId::MAIN),
    };
    let others = included.iter().map(|Included { name, root, errors }| {
        let root = match root {
            Ok(root) => root,
            Err(errors) => {
                let (services, errors) = (Err(errors.clone()), Vec::new());
                return FileServices { name, services, errors, entry_errors: Vec::new() };
            }
        };
        let (services, of_keys) = report.collect(|| file::read_included(&value(root, INCLUDED)));
        let errors = errors.iter().cloned().chain(of_keys).collect();
        FileServices { name, services: Ok(services), errors, entry_errors: entry_errors(root.location.file) }
    });
    let files: Vec<_> = std::iter::once(main).chain(others).collect();
    let is_complete = files.iter().all(|file| file.services.is_ok());
    let is_strict = is_complete && (included.is_empty() || matches!(mistakes, Mistakes::Reject));
    let mut settled = settle(files, &mut shared, claimed, last_good, report);
    let known = settled.names().collect();
    let (callers, roles) = access::read(callers.as_ref(), roles.as_ref(), &ServiceNames { known, is_strict });
    access::remove_credentials_of_callers(&mut settled.services, &callers);
    shared.credentials.report_unused();
    if let Some(stores) = &stores {
        secret_stores::report_unused(stores);
    }
    if let (Some(value), Some(intercept)) = (&intercept, &config.intercept) {
        name_constraints::warn_of_hosts_outside(value, intercept, &settled.services);
    }
    let Settled { services, inactive, problems } = settled;
    Some(Config { services, inactive, problems, callers, roles, ..config })
}
