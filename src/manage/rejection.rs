//! Why a change through the admin API is not possible.

use super::error::ManageError;
use super::policy::Violation;
use crate::config::{ConfigError, Diagnostic};
use crate::presets::Preset;

/// Why a change is not possible.
#[derive(Debug)]
pub enum Rejection {
    /// What was asked for has mistakes, at least one.
    Mistakes(Vec<Mistake>),
    /// The files of the configuration do not allow it.
    Files(ManageError),
}

/// A mistake in what was asked for. No text has a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The question, the secret or the key of the request that it concerns, if it concerns one.
    pub field: Option<String>,
    /// The file that would have it.
    pub file: Option<String>,
    /// The line there, counted from 1.
    pub line: Option<usize>,
    /// The path of the key there, such as `services.crm.upstream`.
    pub path: Option<String>,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl Mistake {
    /// A mistake in a field of the request.
    pub(super) fn in_field(field: &str, message: impl Into<String>) -> Self {
        let field = Some(field.to_owned());
        Self { field, file: None, line: None, path: None, message: message.into() }
    }
}

impl Rejection {
    /// One mistake in a field of the request.
    pub(super) fn in_field(field: &str, message: impl Into<String>) -> Self {
        Self::Mistakes(vec![Mistake::in_field(field, message)])
    }

    /// The errors of a configuration. Those of the service get the field of the preset that its key is asked by.
    pub(super) fn of_config(error: &ConfigError, service: &str, preset: Option<&Preset>) -> Self {
        let of = |found: &Diagnostic| Mistake {
            field: key_in(&found.path, service).and_then(|key| field(key, preset)),
            file: Some(found.file.clone()),
            line: Some(found.line).filter(|line| *line > 0),
            path: Some(found.path.clone()).filter(|path| !path.is_empty()),
            message: found.message.clone(),
        };
        Self::Mistakes(error.diagnostics().iter().map(of).collect())
    }

    /// References that are not allowed.
    pub(super) fn of_violations(found: Vec<Violation>, service: &str, preset: Option<&Preset>) -> Self {
        let of = |Violation { key, message }| Mistake {
            field: field(&key, preset),
            file: None,
            line: None,
            path: Some(format!("services.{service}.{key}")),
            message,
        };
        Self::Mistakes(found.into_iter().map(of).collect())
    }
}

impl From<ManageError> for Rejection {
    fn from(error: ManageError) -> Self {
        Self::Files(error)
    }
}

impl From<ConfigError> for Rejection {
    fn from(error: ConfigError) -> Self {
        Self::Files(error.into())
    }
}

/// The key in a service that the path of an error leads to.
fn key_in<'p>(path: &'p str, service: &str) -> Option<&'p str> {
    let below = path.strip_prefix("services.")?.strip_prefix(service)?;
    below.strip_prefix('.')
}

fn field(key: &str, preset: Option<&Preset>) -> Option<String> {
    let path: Vec<_> = key.split(['.', '[']).collect();
    preset?.asked_at(&path).map(str::to_owned)
}
