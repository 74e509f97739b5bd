//! `hardening`: whether the process is restricted, and what it may write to nevertheless.

use std::path::PathBuf;

use super::reader::table::{Format, Key, Keys};
use super::reader::value::Value;

/// The format of `hardening`.
pub(super) const HARDENING: Format = Format::AnyOf(&[Format::Words(&MODES), Format::Keys(&[KEYS])]);

/// `hardening` as a word: whether the process is restricted.
const MODES: [(&str, bool); 2] = [("full", true), ("none", false)];

const KEYS: Keys = &[Key::required(
    "writable",
    Format::NonEmptyList(&Format::Text),
    "Folders that commands write to, besides those of Sidekey and that of temporary files.",
)];

/// `hardening`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardening {
    /// Whether the process is restricted.
    pub enabled: bool,
    /// Folders that commands write to.
    pub writable: Vec<PathBuf>,
}

impl Default for Hardening {
    fn default() -> Self {
        Self { enabled: true, writable: Vec::new() }
    }
}

pub(super) fn read(value: &Value<'_>) -> Option<Hardening> {
    if !value.is_map() {
        return Some(Hardening { enabled: value.one_of(&MODES)?, writable: Vec::new() });
    }
    let mut mapping = value.mapping()?;
    let writable = mapping.required("writable").and_then(|value| folders(&value));
    mapping.reject_unknown_keys();
    Some(Hardening { enabled: true, writable: writable? })
}

fn folders(value: &Value<'_>) -> Option<Vec<PathBuf>> {
    let items = value.list()?;
    if items.is_empty() {
        value.error("the list is empty; without folders write `hardening: full`");
        return None;
    }
    // Collected first, so that every error is reported.
    let folders: Vec<_> = items.iter().map(|value| value.parse(folder)).collect();
    folders.into_iter().collect()
}

fn folder(text: &str) -> Result<PathBuf, String> {
    if !text.starts_with('/') || text.contains('\0') {
        return Err("the path of a folder is absolute, such as /var/lib/vault".into());
    }
    Ok(PathBuf::from(text))
}
