//! `state`: where rotated refresh tokens are kept, and the key they are encrypted with.

use std::path::PathBuf;

use super::State;
use super::reader::value::Item;
use super::secret;

/// What `openssl rand -hex 16` writes. A key is not a password: it is never typed.
const SHORTEST_KEY: usize = 32;

pub(super) fn read(item: &Item<'_>) -> Option<State> {
    let mut table = item.table()?;
    let dir = table.required("dir").and_then(|item| item.parse(dir));
    let key = table.required("key").and_then(|item| {
        let key = secret::read(&item)?;
        if key.length() < SHORTEST_KEY {
            item.mistake(format!(
                "the key is shorter than {SHORTEST_KEY} characters, so that what it encrypts could be guessed; \
                 `openssl rand -base64 32` writes a good one"
            ));
            return None;
        }
        Some(key)
    });
    let access_tokens = table.optional("access_tokens").and_then(|item| item.boolean()).unwrap_or_default();
    table.finish();
    Some(State { dir: dir?, key: key?, access_tokens })
}

fn dir(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("empty".into()),
        _ if text.contains('\0') => Err("not a path".into()),
        _ => Ok(PathBuf::from(text)),
    }
}
