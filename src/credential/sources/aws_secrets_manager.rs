//! `aws_secrets_manager`: a secret in AWS Secrets Manager, or a field of one that is a JSON object. The fields of one secret are read at
//! once.

use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::config::{SourceKind, find_store};
use crate::credential::stores::aws_secrets_manager::{AwsSecretId, AwsStore};
use crate::credential::stores::stored_secret::{StoredMember, StoredSecret};
use crate::secret::Source;

/// Its part of the table of sources.
pub(super) const KIND: SourceKind =
    SourceKind { form: "{ aws_secrets_manager: { id: ID } }", keys: KEYS, read };

const KEYS: Keys = &[Key::required(
    "aws_secrets_manager",
    Format::Keys(&[SECRET_KEYS]),
    "A secret in AWS Secrets Manager, or a field of it.",
)];

const SECRET_KEYS: Keys = &[
    Key::required("id", Format::Text, "Name or ARN of the secret."),
    Key::optional(
        "field",
        Format::Text,
        "Name of a field, if the secret is a JSON object. Default: the secret as a whole.",
    ),
    Key::optional(
        "store",
        Format::Text,
        "Name of an entry under `secret_stores`. Default: the only one of `type: aws_secrets_manager`.",
    ),
    Key::optional("version_stage", Format::Text, "Staging label of the version. Default: `AWSCURRENT`."),
    Key::optional("version_id", Format::Text, "ID of the version."),
    Key::optional(
        "refresh_interval",
        DURATION,
        "The secret is read again after this long. Default: that of the store.",
    ),
];

fn read(mapping: &mut Mapping<'_>) -> Option<Source> {
    let whole = mapping.value().clone();
    let mut mapping = mapping.required("aws_secrets_manager")?.mapping()?;
    let id = mapping.required("id").map(|value| value.parse(text));
    let [field, version_stage, version_id] = ["field", "version_stage", "version_id"].map(|key| {
        let parse = |value: Value<'_>| value.parse(text);
        mapping.optional(key).map(parse)
    });
    let name = mapping.optional("store");
    let refresh_interval = mapping.optional("refresh_interval").map(|value| duration::positive(&value));
    mapping.reject_unknown_keys();
    let store = find_store::<AwsStore>(&whole, KIND.name(), name.as_ref())?;
    let id = AwsSecretId { id: id??, version_stage: valid(version_stage)?, version_id: valid(version_id)? };
    let refresh_interval = refresh_interval.unwrap_or(Some(store.refresh_interval))?;
    let secret = StoredSecret { store: store.connection.clone(), id, refresh_interval };
    Some(match valid(field)? {
        Some(name) => Source::new(StoredMember { secret, name }),
        None => Source::new(secret),
    })
}

/// The value of an optional key; `None` if there is an error.
#[expect(clippy::option_option, reason = "a value that is not there, and one that is invalid")]
fn valid(value: Option<Option<String>>) -> Option<Option<String>> {
    match value {
        None => Some(None),
        Some(value) => value.map(Some),
    }
}

fn text(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("empty, or with a control character".into());
    }
    Ok(text.to_owned())
}
