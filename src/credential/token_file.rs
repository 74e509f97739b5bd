//! Files with the token of a workload, which its platform replaces from time to time.

use std::path::PathBuf;

use super::sources::of_file;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key};
use crate::secret::Source;

/// The key of such a file.
pub(super) const TOKEN_FILE: Key =
    Key::optional("token_file", Format::Text, "Path of the file with the token of this workload.");

/// Reads [`TOKEN_FILE`]; `default` is the path without it. The file must have a token now, and is read again for each use.
pub(super) fn read(
    mapping: &mut Mapping<'_>,
    default: impl FnOnce(&Mapping<'_>) -> Option<PathBuf>,
) -> Option<Source> {
    let (value, path) = match mapping.optional(TOKEN_FILE.name) {
        Some(value) => {
            let path = value.parse(|text| match text {
                "" => Err("empty".into()),
                _ if text.contains('\0') => Err("not a valid path".into()),
                _ => Ok(PathBuf::from(text)),
            })?;
            (value, path)
        }
        None => (mapping.value().clone(), default(mapping)?),
    };
    let source = of_file(path, &value);
    value.report().secrets().check(&source).map_err(|error| value.error(error.to_string())).ok()?;
    Some(source)
}
