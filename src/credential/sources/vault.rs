//! `vault`: a field of a secret in Vault or `OpenBao`. The fields of one secret are read at once.

use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::{SourceKind, find_store};
use crate::credential::stores::stored_secret::{StoredMember, StoredSecret};
use crate::credential::stores::vault::{SecretPath, VaultStore, path};
use crate::secret::Source;

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
    let secret = StoredSecret {
        store: store.connection.clone(),
        id: SecretPath { path: path?, version },
        refresh_interval: refresh_interval.unwrap_or(Some(store.refresh_interval))?,
    };
    Some(Source::new(StoredMember { secret, name: field? }))
}

fn field(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("the name of a field".into());
    }
    Ok(text.to_owned())
}
