//! The text of a file after an operation, and what it needs.

use std::collections::BTreeMap;
use std::path::Path;

use serde_yaml::Value;
use zeroize::Zeroizing;

use super::draft::Typed;
use super::folder::ManagedFolder;
use super::new_secrets::{file_source, secret_file_name};
use super::operation::{Operation, SecretPlace};
use super::rejection::{Mistake, Rejection};
use super::services_file::ServicesFile;
use super::shown::Shown;
use super::switch::switched;
use crate::config::edit::{EditError, ServicesText, entry};
use crate::presets::{Answers, FillError, Preset, Question};

/// The change of a file: its new text, and what it needs.
pub(super) struct Edited {
    pub(super) text: String,
    /// Secrets that were typed.
    pub(super) typed: Vec<Typed>,
    pub(super) preset: Option<&'static Preset>,
    /// The path to test with; `None` if the API of the preset has none that needs no resource.
    pub(super) test_path: Option<String>,
    /// The numbers of the lines that were not shown, if there are no other changes.
    pub(super) restored: Vec<usize>,
}

/// The text of a file after an operation on a service. `folder` is the managed folder, if the file is one of it.
pub(super) fn edited(
    name: &str,
    operation: Operation,
    file: &ServicesFile,
    folder: Option<&ManagedFolder>,
) -> Result<Edited, Rejection> {
    let of_edit = |error| Rejection::from(file.edit_error(error));
    let mut restored = Vec::new();
    let (text, typed, test_path, preset) = match operation {
        Operation::Add { preset, answers, secrets, lines } => {
            let (places, typed) = places(name, secrets, folder)?;
            let answers = Answers { texts: answers, secrets: places };
            let service = filled(preset, &answers)?;
            let text = file.services()?.insert(name, &service).map_err(of_edit)?;
            let text = match lines {
                None => text,
                Some(lines) => {
                    let services = ServicesText::parse(&text).map_err(of_edit)?;
                    services.replace_lines(name, &lines).map_err(in_lines)?
                }
            };
            (text, typed, preset.filled_test_path(&answers), Some(preset))
        }
        Operation::Edit { lines, secrets } => {
            let (places, typed) = places(name, secrets, folder)?;
            let (mut text, numbers) = match lines {
                None => (file.text().to_owned(), Vec::new()),
                Some(lines) => with_lines(name, file, &lines)?,
            };
            // Another place of a secret changes lines.
            if places.is_empty() {
                restored = numbers;
            }
            for (key, place) in places {
                let path: Vec<_> = key.split('.').collect();
                let services = ServicesText::parse(&text).map_err(of_edit)?;
                let set = services.set(name, &path, &place);
                let set = set.map_err(|error| Rejection::in_field(&key, error.to_string()))?;
                text = set;
            }
            (text, typed, root(), None)
        }
        Operation::Remove => (file.services()?.remove(name).map_err(of_edit)?, Vec::new(), root(), None),
        Operation::Enable => (switched(file.text(), name, true).map_err(of_edit)?, Vec::new(), root(), None),
        Operation::Disable => {
            (switched(file.text(), name, false).map_err(of_edit)?, Vec::new(), root(), None)
        }
    };
    Ok(Edited { text, typed, preset, test_path, restored })
}

/// The path that a service without a preset is tested with.
#[expect(clippy::unnecessary_wraps, reason = "a preset may have none")]
fn root() -> Option<String> {
    Some("/".into())
}

/// The text of a file with other lines for a service, and the numbers of those that were not shown.
fn with_lines(name: &str, file: &ServicesFile, lines: &str) -> Result<(String, Vec<usize>), Rejection> {
    let config = file.configuration_without_secrets();
    let shown = Shown::new(file, file.text(), config.as_ref());
    let restored = shown.restored(name, lines).map_err(|error| file.edit_error(error))?;
    let changed = file.services()?.replace_lines(name, &restored.text).map_err(in_lines)?;
    if !shown.keeps(&restored, &changed) {
        return Err(moved());
    }
    Ok((changed, restored.numbers.into_iter().map(|(_, new)| new).collect()))
}

/// A line that is not shown stands elsewhere, or means something else.
pub(super) fn moved() -> Rejection {
    let message = "a comment that stands for a secret must stay where it is, with the same keys around it; or type the secret again";
    Rejection::in_field("lines", message)
}

/// What is wrong with the lines of a service.
fn in_lines(error: EditError) -> Rejection {
    let message = match error {
        EditError::NotYaml => {
            "this is not valid YAML (each key stands in a line of its own, `key: value`), or too large with its aliases replaced".into()
        }
        EditError::NoService(name) => format!("the lines begin with `{name}:`; a service keeps its name"),
        other => other.to_string(),
    };
    Rejection::in_field("lines", message)
}

/// The sources of the secrets of a service, and the new files of those that were typed.
fn places(
    service: &str,
    secrets: BTreeMap<String, SecretPlace>,
    folder: Option<&ManagedFolder>,
) -> Result<(BTreeMap<String, Value>, Vec<Typed>), Rejection> {
    let mut typed = Vec::new();
    let mut places = BTreeMap::new();
    for (key, place) in secrets {
        let value = match (place, folder) {
            (SecretPlace::File(path), _) => file_source(Path::new(&path)),
            (SecretPlace::Stored(source), _) => source,
            (SecretPlace::Environment(name), _) => entry("env", name.replace("${", "$${")),
            (SecretPlace::Typed(_), None) => {
                let message = "a secret can be typed here only for a service of the folder `admin.manage`";
                return Err(Rejection::in_field(&key, message));
            }
            (SecretPlace::Typed(text), Some(folder)) => {
                // As in a file: one newline at the end is not part of it.
                let text = Zeroizing::new(text.strip_suffix('\n').unwrap_or(&text).to_owned());
                if text.is_empty() {
                    return Err(Rejection::in_field(&key, "is required"));
                }
                let path = folder.free_secret(&secret_file_name(service, &key))?;
                let source = file_source(&path);
                typed.push(Typed { path, text });
                source
            }
        };
        places.insert(key, value);
    }
    Ok((places, typed))
}

/// The service that a preset and answers make, or every mistake in the answers.
fn filled(preset: &Preset, answers: &Answers) -> Result<Value, Rejection> {
    let answer_of = |name: &String| answers.texts.get(name).map_or("", String::as_str);
    let given =
        |question: &&Question| answers.texts.contains_key(&question.name) || question.default.is_none();
    let mut mistakes: Vec<_> = preset
        .answers
        .iter()
        .filter(given)
        .filter_map(|question| {
            let wrong = question.check(answer_of(&question.name)).err()?;
            // The field says which one it is.
            let message = wrong.strip_prefix(&format!("`{}` ", question.name)).unwrap_or(&wrong);
            Some(Mistake::in_field(&question.name, message))
        })
        .collect();
    let missing = preset.secrets.iter().filter(|secret| !answers.secrets.contains_key(&secret.name));
    mistakes.extend(missing.map(|secret| Mistake::in_field(&secret.name, "is required")));
    if !mistakes.is_empty() {
        return Err(Rejection::Mistakes(mistakes));
    }
    preset.fill(answers).map_err(|error| {
        let field = match &error {
            FillError::Unknown(_, name, _) => name.clone(),
            FillError::Secret(name) => name.clone(),
            FillError::Answer(_) => "provider".into(),
        };
        Rejection::in_field(&field, error.to_string())
    })
}
