//! `audit`: where decisions about requests are recorded.

use std::path::PathBuf;

use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;

/// The keys of `audit`.
pub(crate) const KEYS: Keys = &[
    Key::required("path", Format::Text, "Absolute path of a file that lines are added to, or `stdout`."),
    Key::optional("decisions", Format::Words(&DECISIONS), "Which decisions are recorded.").or("denied"),
];

const DECISIONS: [(&str, bool); 2] = [("denied", false), ("all", true)];

/// `audit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// The file; `None` is standard output.
    pub path: Option<PathBuf>,
    /// Whether requests that are allowed are recorded as well.
    pub all: bool,
}

/// Reads `audit`.
pub(crate) fn read(value: &Value<'_>) -> Option<AuditConfig> {
    let mut mapping = value.mapping()?;
    let path = mapping.required("path").and_then(|value| value.parse(path));
    let all = mapping.optional("decisions").and_then(|value| value.one_of(&DECISIONS));
    mapping.reject_unknown_keys();
    Some(AuditConfig { path: path?, all: all.unwrap_or_default() })
}

/// The file of `path`, if it is one.
fn path(text: &str) -> Result<Option<PathBuf>, String> {
    match text {
        "stdout" => Ok(None),
        _ if text.starts_with('/') && !text.ends_with('/') && !text.contains('\0') => {
            Ok(Some(PathBuf::from(text)))
        }
        _ => Err("an absolute path, such as /var/log/sidekey/audit.log, or `stdout`".into()),
    }
}
