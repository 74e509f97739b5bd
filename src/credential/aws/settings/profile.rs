//! A profile of a shared credentials file, as `credentials` names it.

use std::path::PathBuf;

use super::endpoint::not_empty;
use super::static_keys::{checked, complete, is_of_id, is_of_key};
use crate::config::reader::mapping::Mapping;
use crate::config::reader::report::display_path;
use crate::config::{Content, FileKind};
use crate::credential::EnvironmentOf;
use crate::credential::aws::identity::StaticKeys;
use crate::credential::aws::profile;
use crate::secret::{Secret, read_file};

/// The largest shared file, in bytes.
const MAX_FILE_BYTES: usize = 1024 * 1024;

pub(super) fn profile_keys(
    mapping: &mut Mapping<'_>,
    environment: &EnvironmentOf<'_, '_>,
) -> Option<StaticKeys> {
    let value = mapping.value().clone();
    let name = mapping.optional("profile").map(|value| value.parse(not_empty));
    let file = mapping.optional("file").map(|value| value.parse(not_empty));
    let name = match name {
        Some(name) => name?,
        None => environment.text("AWS_PROFILE").unwrap_or_else(|| "default".into()),
    };
    let path = match file {
        Some(file) => PathBuf::from(file?),
        None => match (environment.get("AWS_SHARED_CREDENTIALS_FILE"), environment.get("HOME")) {
            (Some(path), _) => PathBuf::from(path),
            (None, Some(home)) => PathBuf::from(home).join(".aws/credentials"),
            (None, None) => {
                value.error(
                    "`file` is required: the environment has no AWS_SHARED_CREDENTIALS_FILE and no HOME",
                );
                return None;
            }
        },
    };
    value.watch(&path, FileKind::Secret);
    let bytes = match read_file(&path, MAX_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(_) if !value.reads_files() => return placeholder_keys(),
        Err(error) => {
            value.error(format!("cannot read the file{}: {error}", display_path(&path)));
            return None;
        }
    };
    value.warn_if_exposed(&path, Content::Secret);
    let place = format!("the profile in the file{}", display_path(&path));
    let Ok(text) = std::str::from_utf8(&bytes) else {
        value.error(format!("the file{} is not text", display_path(&path)));
        return None;
    };
    let Some(found) = profile::find(text, &name) else {
        value.error(format!("the file{} has no such profile", display_path(&path)));
        return None;
    };
    let (Some(id), Some(secret)) = (found.access_key_id, found.secret_access_key) else {
        let other = found.other.map_or_else(String::new, |key| {
            format!(
                "; it has `{key}`, which is not followed: write it here, as `credentials` and `assume_role`"
            )
        });
        value.error(format!(
            "{place} has no complete key (`aws_access_key_id` and `aws_secret_access_key`), and no other is used in its \
             place{other}"
        ));
        return None;
    };
    let (id, secret) = (checked(&value, &id, is_of_id, &place), checked(&value, &secret, is_of_key, &place));
    let token = found.session_token.map(|token| checked(&value, &token, is_of_key, &place));
    let token = match token {
        None => None,
        Some(token) => Some(token?),
    };
    complete(&value, id?, secret?, token, "the profile has no `aws_session_token`")
}

fn placeholder_keys() -> Option<StaticKeys> {
    let secret = Secret::new("placeholder".into()).ok()?;
    Some(StaticKeys { access_key_id: secret.clone(), secret_access_key: secret, session_token: None })
}
