//! `file`: a file that holds nothing but the secret.

use std::fmt;
use std::path::PathBuf;

use crate::config::reader::mapping::Mapping;
use crate::config::reader::report::display_path;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::config::{Content, SourceKind};
use crate::secret::{Fetched, SecretSource, SecretText, Source, SourceError, WatchHint, read_file};

/// Largest file, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// A file that holds nothing but the secret.
#[derive(PartialEq, Eq, Hash)]
struct SecretFile(PathBuf);

/// Its part of the table of sources.
pub(super) const KIND: SourceKind = SourceKind { form: "{ file: PATH }", keys: KEYS, read };

const KEYS: Keys = &[Key::required(
    "file",
    Format::Text,
    "Path of a file that holds the secret; one newline at its end is not part of it.",
)];

fn read(mapping: &mut Mapping<'_>) -> Option<Source> {
    let value = mapping.required("file")?;
    let path = value.parse(|text| match text {
        "" => Err("empty".into()),
        _ if text.contains('\0') => Err("not a valid path".into()),
        _ => Ok(PathBuf::from(text)),
    })?;
    Some(of_file(path, &value))
}

/// A file that a value of the configuration names, or stands for.
pub(in crate::credential) fn of_file(path: PathBuf, value: &Value<'_>) -> Source {
    value.warn_if_exposed(&path, Content::Secret);
    Source::new(SecretFile(path))
}

impl SecretSource for SecretFile {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        let content = read_file(&self.0, MAX_BYTES)
            .map_err(|error| SourceError::new(format!("cannot read {self}: {error}")))?;
        let value =
            SecretText::of_content(content).map_err(|error| SourceError::new(format!("{self}: {error}")))?;
        Ok(Fetched::lasting(value))
    }

    fn watch(&self) -> WatchHint {
        WatchHint::ContentOf(self.0.clone())
    }
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {}", self.0.display())
    }
}

impl fmt::Display for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file{}", display_path(&self.0))
    }
}
