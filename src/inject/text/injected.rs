//! A document's text with the sidecar in its objects.

use serde_json::Value;

use super::super::annotations::RESTORE;
use super::super::decision::Injection;
use super::super::operation;
use super::super::operation::Operation;
use super::document::{self, Object};
use super::edit;
use super::edit::Layout;
use super::insert::Position;
use super::restore::Restore;
use super::restored::restored;

/// A document's text with the sidecar in some of its objects.
pub(super) fn injected(
    text: &str,
    value: &Value,
    mut injections: Vec<(&Object, Injection)>,
) -> Result<String, String> {
    let error = || {
        format!(
            "its text has a form to which the sidecar cannot be added by place, such as an alias or a merge key: write \
             it out, or set `sidekey.io/inject: disabled`{}",
            document::template_hint(text)
        )
    };
    let layout = Layout::new(text).ok_or_else(error)?;
    let mut expected = value.clone();
    for (object, injection) in &mut injections {
        if let Some(text) = Restore::of(&layout, &object.at, &object.value, injection).text() {
            injection.annotate(RESTORE, &text);
        }
        let absolute: Vec<_> =
            injection.operations.iter().map(|operation| at(operation, &object.at)).collect();
        operation::apply(&mut expected, &absolute).ok_or_else(error)?;
    }
    let changed = [Position::AfterKey, Position::BeforeFirst].into_iter().find_map(|position| {
        let mut edits = Vec::new();
        for (object, injection) in &injections {
            edits.extend(layout.edits(&object.at, &injection.operations, position)?);
        }
        let changed = edit::apply(text, edits)?;
        let value = document::parse(&changed).ok().filter(|value| *value == expected)?;
        let before = restored(&changed, &value, &document::objects(value.clone())).ok()?;
        (before == text).then_some(changed)
    });
    changed.ok_or_else(error)
}

/// An operation on the document, from one on an object in it.
fn at(operation: &Operation, object: &str) -> Operation {
    let path = format!("{object}{}", operation.path());
    match operation.clone() {
        Operation::Add { value, .. } => Operation::Add { path, value },
        Operation::Replace { value, .. } => Operation::Replace { path, value },
    }
}
