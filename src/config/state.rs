//! `state`: where rotated refresh tokens are kept, and the key they are encrypted with.

use std::path::PathBuf;

use super::reader::secret;
use super::reader::value::Value;
use crate::secret::Secret;

/// `state`: refresh tokens that the provider rotates, kept on disk, encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// A folder of Sidekey's own; made with mode 0700 where there is none.
    pub dir: PathBuf,
    /// What the encryption key is derived from.
    pub key: Secret,
    /// Whether access tokens are kept as well, so that a restart makes no token request.
    pub access_tokens: bool,
}

/// What `openssl rand -hex 16` writes. A key is not a password: it is never typed.
const SHORTEST_KEY: usize = 32;

pub(super) fn read(value: &Value<'_>) -> Option<State> {
    let mut mapping = value.mapping()?;
    let dir = mapping.required("dir").and_then(|value| value.parse(dir));
    let key = mapping.required("key").and_then(|value| {
        let key = secret::read(&value)?;
        if key.length() < SHORTEST_KEY {
            value.error(format!(
                "the key is shorter than {SHORTEST_KEY} characters, so that what it encrypts could be guessed; \
                 `openssl rand -base64 32` writes a good one"
            ));
            return None;
        }
        Some(key)
    });
    let access_tokens =
        mapping.optional("access_tokens").and_then(|value| value.boolean()).unwrap_or_default();
    mapping.reject_unknown_keys();
    Some(State { dir: dir?, key: key?, access_tokens })
}

fn dir(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("empty".into()),
        _ if text.contains('\0') => Err("not a path".into()),
        _ => Ok(PathBuf::from(text)),
    }
}
