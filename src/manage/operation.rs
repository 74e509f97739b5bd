//! What the admin API may do with a service.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use crate::presets::Preset;

/// What is to be done with a service.
pub enum Operation {
    /// It is added, from a preset.
    Add {
        /// The preset.
        preset: &'static Preset,
        /// The answers to its questions that are not secret.
        answers: BTreeMap<String, String>,
        /// Where each of its secrets is, by its name.
        secrets: BTreeMap<String, SecretPlace>,
        /// Its lines, if they are others than the preset makes.
        lines: Option<Zeroizing<String>>,
    },
    /// It is changed.
    Edit {
        /// Its lines in its file; `None` leaves them. Comments in place of hidden lines stand for these.
        lines: Option<Zeroizing<String>>,
        /// Other places of its secrets, by the path of the key.
        secrets: BTreeMap<String, SecretPlace>,
    },
    /// It is removed.
    Remove,
    /// It is switched on.
    Enable,
    /// It is switched off.
    Disable,
}

impl Operation {
    /// Its name in the log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Add { .. } => "add",
            Self::Edit { .. } => "edit",
            Self::Remove => "remove",
            Self::Enable => "enable",
            Self::Disable => "disable",
        }
    }
}

/// Where a secret is.
pub enum SecretPlace {
    /// It was typed, and gets a file of its own.
    Typed(Zeroizing<String>),
    /// A file of the machine.
    File(String),
    /// A variable of the environment.
    Environment(String),
    /// A secret of a store, as `stored_source.rs` writes it.
    Stored(serde_yaml::Value),
}

/// Without the secret.
impl fmt::Debug for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Typed(_) => f.write_str("typed"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Environment(name) => write!(f, "env {name}"),
            Self::Stored(_) => f.write_str("stored"),
        }
    }
}
