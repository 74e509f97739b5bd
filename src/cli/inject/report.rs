//! What was done with each object, for the operator.

use crate::inject::text::{ObjectReport, Outcome};
use crate::secret::is_invisible;

/// A message as one visible line. It has names of the manifest, which may be from somewhere else: one with a line break would be another
/// line of the report, and an escape sequence is a command to the terminal.
pub(super) fn one_line(text: &str) -> String {
    let is_shown = |character: &char| !character.is_control() && !is_invisible(*character);
    text.chars().map(|character| if is_shown(&character) { character } else { '?' }).collect()
}

/// What was done with the objects of all texts.
#[derive(Default)]
pub(super) struct Report {
    lines: Vec<String>,
    changed: usize,
    unchanged: usize,
}

impl Report {
    /// Adds the objects of a text. `restore` if the sidecar was to be taken out.
    pub(super) fn add(&mut self, input: &str, objects: &[ObjectReport], restore: bool) {
        for object in objects {
            let outcome = match &object.outcome {
                Outcome::Injected => "injected".into(),
                Outcome::Restored => "restored".into(),
                Outcome::Unchanged if restore => "unchanged: it was not injected".into(),
                Outcome::Unchanged => "unchanged: it is injected already".into(),
                Outcome::Skipped(refusal) => format!("not injected: {refusal}"),
            };
            if matches!(object.outcome, Outcome::Injected | Outcome::Restored) {
                self.changed += 1;
            } else {
                self.unchanged += 1;
            }
            self.lines.push(one_line(&format!("{input}: {}: {outcome}", object.name)));
            let warnings = object.warnings.iter();
            let warnings = warnings.map(|text| format!("{input}: {}: warning: {text}", object.name));
            self.lines.extend(warnings.map(|line| one_line(&line)));
        }
    }

    /// The text, with a line for each object and warning, and a sum.
    pub(super) fn text(&self, restore: bool) -> String {
        let done = if restore { "restored" } else { "injected" };
        let sum = format!("{} {done}, {} not", self.changed, self.unchanged);
        let lines = self.lines.iter().map(String::as_str);
        lines.chain([sum.as_str(), ""]).collect::<Vec<_>>().join("\n")
    }
}
