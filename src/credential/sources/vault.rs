//! `vault`: a field of a secret in Vault or `OpenBao`. The fields of one secret are read at once.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::{SourceKind, find_store};
use crate::credential::stores::members::member;
use crate::credential::stores::vault::{SecretPath, VaultConnection, VaultStore, path};
use crate::secret::{Fetched, SecretSource, SecretText, Source, SourceError, WatchHint};

/// A secret with all of its fields.
#[derive(Clone)]
struct VaultSecret {
    store: Arc<VaultConnection>,
    path: SecretPath,
    refresh_interval: Duration,
}

/// One field of it.
#[derive(PartialEq, Eq, Hash)]
struct VaultField {
    secret: VaultSecret,
    field: String,
}

/// Its part of the table of sources.
pub(super) const KIND: SourceKind =
    SourceKind { form: "{ vault: { path: PATH, field: NAME } }", keys: KEYS, read };

const KEYS: Keys =
    &[Key::required("vault", Format::Keys(&[VAULT_KEYS]), "A field of a secret in Vault or OpenBao.")];

const VAULT_KEYS: Keys = &[
    Key::required("path", Format::Text, "Path of the secret, as `vault kv get` or `vault read` has it."),
    Key::required("field", Format::Text, "Name of the field."),
    Key::optional(
        "store",
        Format::Text,
        "Name of an entry under `secret_stores`. Default: the only one of `type: vault`.",
    ),
    Key::optional(
        "version",
        Format::Number(1, u64::MAX),
        "Version of the secret (key-value engine of version 2). Default: the latest one.",
    ),
    Key::optional(
        "refresh_interval",
        DURATION,
        "The secret is read again after this long. Default: that of the store.",
    ),
];

fn read(mapping: &mut Mapping<'_>) -> Option<Source> {
    let whole = mapping.value().clone();
    let mut mapping = mapping.required("vault")?.mapping()?;
    let path = mapping.required("path").and_then(|value| value.parse(path));
    let field = mapping.required("field").and_then(|value| value.parse(field));
    let name = mapping.optional("store");
    let version = mapping.optional("version").map(|value| value.number());
    let refresh_interval = mapping.optional("refresh_interval").map(|value| duration::positive(&value));
    mapping.reject_unknown_keys();
    let store = find_store::<VaultStore>(&whole, KIND.name(), name.as_ref())?;
    let version = match version {
        None => None,
        Some(version) => Some(version?),
    };
    let secret = VaultSecret {
        store: store.connection.clone(),
        path: SecretPath { path: path?, version },
        refresh_interval: refresh_interval.unwrap_or(Some(store.refresh_interval))?,
    };
    Some(Source::new(VaultField { secret, field: field? }))
}

fn field(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("the name of a field".into());
    }
    Ok(text.to_owned())
}

impl SecretSource for VaultSecret {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        // No store is called in a build of `cargo fuzz`.
        if cfg!(fuzzing) {
            return Err(SourceError::new("not in a fuzz target"));
        }
        self.store.read(&self.path)
    }

    fn watch(&self) -> WatchHint {
        WatchHint::Poll(self.refresh_interval)
    }
}

impl SecretSource for VaultField {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        let fetched = self.secret.fetch()?;
        Ok(Fetched { value: self.part_of(&fetched.value)?, ..fetched })
    }

    fn watch(&self) -> WatchHint {
        self.secret.watch()
    }

    fn document(&self) -> Option<Source> {
        Some(Source::new(self.secret.clone()))
    }

    fn part_of(&self, document: &SecretText) -> Result<SecretText, SourceError> {
        // The name of a field is not shown: it may be a secret in the wrong place.
        member(document.expose(), &self.field).map_err(|error| {
            SourceError::new(format!(
                "{}: the secret was read, and for `field`: {error}",
                self.secret.store.who()
            ))
        })
    }
}

impl PartialEq for VaultSecret {
    fn eq(&self, other: &Self) -> bool {
        let is_same_store =
            Arc::ptr_eq(&self.store, &other.store) || self.store.settings() == other.store.settings();
        is_same_store && self.path == other.path && self.refresh_interval == other.refresh_interval
    }
}

impl Eq for VaultSecret {}

impl Hash for VaultSecret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.store.settings(), &self.path, self.refresh_interval).hash(state);
    }
}

impl fmt::Debug for VaultSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vault {}", self.path)
    }
}

/// Without the path: in a configuration that was never in use, it may be a secret in the wrong place.
impl fmt::Display for VaultSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the secret in Vault")
    }
}

impl fmt::Debug for VaultField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.secret, f)
    }
}

impl fmt::Display for VaultField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.secret, f)
    }
}
