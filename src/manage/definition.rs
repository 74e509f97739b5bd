//! A service as it stands in its file, for somebody who may change it.

use std::path::PathBuf;

use serde_yaml::Value;

use super::error::ManageError;
use super::services_file::ServicesFile;
use super::shown::Shown;
use super::stored_source;

/// A service as it stands in its file, without its secrets.
pub struct Definition {
    /// The file.
    pub file: PathBuf,
    /// Whether the file is one of the managed folder.
    pub is_managed: bool,
    /// Its lines.
    pub lines: String,
    /// Each of its secrets: the path of its key, and where it is.
    pub secrets: Vec<(String, String)>,
    /// Names the text of the file.
    pub revision: String,
}

/// The lines of a service without its secrets, and its secrets that are read from elsewhere.
pub(super) fn of(file: &ServicesFile, name: &str) -> Result<(String, Vec<(String, String)>), ManageError> {
    let config = file.configuration_without_secrets();
    let shown = Shown::new(file, file.text(), config.as_ref());
    let lines = shown.lines(name).map_err(|error| file.edit_error(error))?;
    let mut secrets = Vec::new();
    if let Some(service) = file.services()?.get(name, &[]) {
        sources("", service, &mut secrets);
    }
    Ok((lines, secrets))
}

/// The sources of secrets in a service, each with the path of its key.
fn sources(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    let entries: Vec<(String, &Value)> = match value {
        Value::Mapping(entries) => {
            entries.iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value))).collect()
        }
        Value::Sequence(items) => {
            items.iter().enumerate().map(|(place, item)| (place.to_string(), item)).collect()
        }
        _ => return,
    };
    for (key, value) in entries {
        let below = if path.is_empty() { key } else { format!("{path}.{key}") };
        let text = |source: &str| value.get(source).and_then(Value::as_str);
        let place = match (text("file"), text("env"), value.get("exec")) {
            (Some(file), ..) => format!("file {file}"),
            (_, Some(name), _) => format!("environment variable {name}"),
            (.., Some(_)) => "command".into(),
            _ => {
                let Some(stored) = stored_source::of_source(value) else {
                    sources(&below, value, found);
                    continue;
                };
                stored
            }
        };
        found.push((below, place));
    }
}
