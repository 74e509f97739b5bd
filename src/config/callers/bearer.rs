//! `bearer` of a caller: keys that it presents. The configuration has their hashes only.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::exposure::Content;
use crate::config::reader::report::display_path;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::config::watched_files::FileKind;
use crate::secret::read_file;

/// The format of `bearer`.
pub(super) const BEARER: Format = Format::Keys(&[KEYS]);

const KEYS: Keys = &[
    Key::optional(
        "sha256",
        Format::OneOrMore(&Format::Pattern("^[0-9a-f]{64}$")),
        "SHA-256 of each key, as `sidekey hash-key` prints it; several for a rotation.",
    ),
    Key::optional("file", Format::Text, "Path of a file with one such hash on each line, instead."),
];

/// Largest file, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Largest number of keys of one caller.
const MAX_KEYS: usize = 16;

/// The SHA-256 of a key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

/// Without the hash, by which a key could be found again in another place.
impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

impl KeyHash {
    /// Parses 64 hexadecimal digits in lower case.
    fn parse(text: &str) -> Result<Self, String> {
        let invalid = || {
            "not a SHA-256 in 64 hexadecimal digits; `sidekey hash-key` prints one. The key itself never stands here"
                .to_owned()
        };
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let digits: Option<Vec<_>> = text.bytes().map(digit).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or_else(invalid)?;
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        // Of the empty key.
        if text == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
            return Err("this is the hash of an empty key".into());
        }
        Ok(Self(hash))
    }
}

/// Reads `bearer`.
pub(super) fn read(value: &Value<'_>) -> Option<Vec<KeyHash>> {
    let mut mapping = value.mapping()?;
    let (list, file) = (mapping.optional("sha256"), mapping.optional("file"));
    mapping.reject_unknown_keys();
    let keys = match (list, file) {
        (Some(list), None) => {
            let keys: Vec<_> = list.one_or_more().iter().map(|value| value.parse(KeyHash::parse)).collect();
            keys.into_iter().collect::<Option<Vec<_>>>()?
        }
        (None, Some(file)) => {
            let path = PathBuf::from(file.text()?);
            // As a part of the configuration: a change to it is a reload.
            file.watch(&path, FileKind::Config);
            file.warn_if_exposed(&path, Content::Trusted);
            if !file.reads_files() {
                return Some(Vec::new());
            }
            of_file(&path).map_err(|message| file.error(message)).ok()?
        }
        _ => {
            value.error("`bearer` has either `sha256` or `file`");
            return None;
        }
    };
    if keys.len() > MAX_KEYS {
        value.error(format!("a caller has {MAX_KEYS} keys at most"));
        return None;
    }
    Some(keys)
}

/// The hashes in a file. Empty lines, and lines that begin with `#`, are comments.
fn of_file(path: &Path) -> Result<Vec<KeyHash>, String> {
    let of = |error: &dyn fmt::Display| format!("the file{}: {error}", display_path(path));
    let content = read_file(path, MAX_BYTES).map_err(|error| of(&error))?;
    let content = std::str::from_utf8(&content).map_err(|_| of(&"not UTF-8 text"))?;
    let is_key = |(_, line): &(usize, &str)| !line.is_empty() && !line.starts_with('#');
    let lines = content.lines().map(str::trim).enumerate().filter(is_key);
    let keys: Result<Vec<_>, _> = lines
        .map(|(line, text)| KeyHash::parse(text).map_err(|error| format!("line {}: {error}", line + 1)))
        .collect();
    match keys {
        Ok(keys) if keys.is_empty() => Err(of(&"it has no key")),
        keys => keys.map_err(|error| of(&error)),
    }
}
