//! The file of a credential: named in the configuration, or by the variable that Google's libraries read.

use std::path::{Path, PathBuf};

use crate::config::reader::mapping::Mapping;
use crate::config::reader::value::Value;
use crate::credential::EnvironmentOf;

/// The variable with the path.
const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// Reads the file at `key`, or at the path of the environment.
pub(in crate::credential) fn credential_file<T>(
    mapping: &mut Mapping<'_>,
    key: &'static str,
    read: impl FnOnce(&Value<'_>, &Path) -> Option<T>,
) -> Option<T> {
    match mapping.optional(key) {
        Some(value) => {
            let path = value.parse(|text| match text {
                "" => Err("empty".into()),
                _ if text.contains('\0') => Err("not a valid path".into()),
                _ => Ok(PathBuf::from(text)),
            })?;
            read(&value, &path)
        }
        None if mapping.has(key) => None,
        None => {
            let value = mapping.value();
            let path = EnvironmentOf(value).required(VARIABLE, &format!(", and there is no `{key}`"))?;
            read(value, Path::new(&path))
        }
    }
}
