//! What a Pod must remember so that its text can be restored byte for byte. In most Pods that is nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::annotations::{INJECTED, RESTORE};
use super::super::decision::{DEFAULT_CONTAINER, Injection};
use super::super::operation::Operation;
use super::super::pod::{Pod, name_of};
use super::edit::Layout;

/// What was there, and cannot be seen any more. Containers are named, so that their order may change.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Restore {
    /// What stood where a list or mapping was without an item: `[]`, `{}`, `null`, or nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) empty: BTreeMap<String, String>,
    /// For each container (`containers/NAME`) its variables that were added (`null`), or whose value was changed: what stood there.
    /// Nothing stood there if the text is empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) env: BTreeMap<String, BTreeMap<String, Option<String>>>,
    /// Annotations that were added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) annotations: Vec<String>,
}

/// The list or mapping of a Pod that may become empty, as [`Restore::empty`] names it.
pub(super) fn container_key(list: &str, container: &Value) -> String {
    format!("{list}/{}", name_of(container))
}

impl Restore {
    /// What operations on a Pod do away with. `at` is where its object is in the document.
    pub(super) fn of(layout: &Layout<'_>, at: &str, object: &Value, injection: &Injection) -> Self {
        let mut restore = Self::default();
        let pod = object.pointer(injection.pod).map(Pod::new);
        for operation in &injection.operations {
            let Some(path) = operation.path().strip_prefix(injection.pod) else { continue };
            let before = layout.find(&format!("{at}{}", operation.path()));
            let text = before.and_then(|found| layout.text.get(found.node.range.clone())).map(str::to_owned);
            let parts: Vec<&str> = path.split('/').skip(1).collect();
            match (parts.as_slice(), operation.value()) {
                (["spec", list, index, "env", rest @ ..], value) => {
                    let container = index.parse::<usize>().ok().and_then(|index| pod?.list(list).get(index));
                    let Some(container) = container else { continue };
                    let key = container_key(list, container);
                    if let (Some(text), []) = (&text, rest) {
                        restore.empty.insert(format!("{key}/env"), text.clone());
                    }
                    restore.variables(key, container, rest, value, text);
                }
                (["spec", "initContainers" | "volumes"] | ["metadata"] | ["metadata", "annotations"], _) => {
                    if let Some(text) = text {
                        restore.empty.insert(parts.join("/"), text);
                    }
                }
                _ => {}
            }
            if is_default_container(operation) {
                restore.annotations = vec![DEFAULT_CONTAINER.to_owned()];
            }
        }
        restore
    }

    fn variables(
        &mut self,
        key: String,
        container: &Value,
        rest: &[&str],
        value: &Value,
        text: Option<String>,
    ) {
        let variables = self.env.entry(key).or_default();
        match (rest, value) {
            ([index, "value"], _) => {
                let variable = container.pointer(&format!("/env/{index}")).map(name_of).unwrap_or_default();
                variables.insert(variable.to_owned(), Some(text.unwrap_or_default()));
            }
            ([], Value::Array(added)) => {
                variables.extend(added.iter().map(|variable| (name_of(variable).to_owned(), None)));
            }
            (_, added) => {
                variables.insert(name_of(added).to_owned(), None);
            }
        }
    }

    /// The text of the annotation. `None` if there is nothing to remember.
    pub(super) fn text(&self) -> Option<String> {
        if *self == Self::default() { None } else { serde_json::to_string(self).ok() }
    }

    /// Reads the annotation of a Pod.
    pub(super) fn read(pod: Pod<'_>) -> Result<Self, String> {
        let Some(value) = pod.metadata("annotations").and_then(|annotations| annotations.get(RESTORE)) else {
            return Ok(Self::default());
        };
        let read = value.as_str().and_then(|text| serde_json::from_str(text).ok());
        read.ok_or_else(|| format!("annotation `{RESTORE}` was changed: take the sidecar out by hand"))
    }

    /// Whether an annotation was added.
    pub(super) fn is_added(&self, annotation: &str) -> bool {
        [INJECTED, RESTORE].contains(&annotation) || self.annotations.iter().any(|added| added == annotation)
    }
}

/// Whether an operation adds the annotation about the default container.
fn is_default_container(operation: &Operation) -> bool {
    let in_path = operation.path().ends_with(&super::super::operation::token(DEFAULT_CONTAINER));
    let value = operation.value();
    in_path
        || [value, &value["annotations"]]
            .iter()
            .any(|annotations| annotations.get(DEFAULT_CONTAINER).is_some())
}
