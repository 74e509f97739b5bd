//! `state`: the folder of the encrypted state files, and their key.

use std::path::PathBuf;

use super::reader::secret;
use super::reader::secret::SECRET;
use super::reader::table::{Format, Key, Keys};
use super::reader::value::Value;
use crate::secret::{Secret, ensure_private_folder, file_metadata};

/// The keys of `state`.
pub(super) const KEYS: Keys = &[
    Key::required("dir", Format::Text, "Folder for state files."),
    Key::required("key", SECRET, "What the files are encrypted with: at least 32 characters."),
    Key::optional(
        "access_tokens",
        Format::Bool,
        "Access tokens are kept as well, so that a restart requests none.",
    )
    .or("false"),
];

/// `state`: rotated refresh tokens are kept on disk, encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The folder, used by Sidekey only; created with mode 0700 if it does not exist.
    pub dir: PathBuf,
    /// The secret that the encryption key is derived from.
    pub key: Secret,
    /// Whether access tokens are kept as well, so that a restart needs no token request.
    pub access_tokens: bool,
}

/// Shortest key, in characters: the output of `openssl rand -hex 16`. A key is never typed, so it can be
/// long.
const MIN_KEY_LENGTH: usize = 32;

pub(super) fn read(value: &Value<'_>) -> Option<State> {
    let mut mapping = value.mapping()?;
    let dir = mapping.required("dir").and_then(|value| value.parse(dir));
    let key = mapping.required("key").and_then(|value| {
        let key = secret::read(&value)?;
        if key.length() < MIN_KEY_LENGTH {
            value.error(format!(
                "the key is shorter than {MIN_KEY_LENGTH} characters and could be guessed; \
                 `openssl rand -base64 32` prints a good one"
            ));
            return None;
        }
        Some(key)
    });
    let access_tokens =
        mapping.optional("access_tokens").and_then(|value| value.boolean()).unwrap_or_default();
    mapping.reject_unknown_keys();
    if let Some(dir) = &dir
        && let Ok(metadata) = file_metadata(dir)
        && let Err(error) = ensure_private_folder(dir, &metadata)
    {
        value.warn(format!("Sidekey will not start: {error}"));
    }
    if let Some(dir) = &dir {
        value.warn_of_folders_to(dir);
    }
    Some(State { dir: dir?, key: key?, access_tokens })
}

fn dir(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("empty".into()),
        _ if text.contains('\0') => Err("not a valid path".into()),
        _ => Ok(PathBuf::from(text)),
    }
}
