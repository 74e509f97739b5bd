//! What a Pod has already.

use serde_json::{Map, Value};

/// A Pod, or the template of Pods: what has `metadata` and `spec`.
#[derive(Clone, Copy)]
pub(super) struct Pod<'o> {
    template: &'o Value,
}

impl<'o> Pod<'o> {
    pub(super) fn new(template: &'o Value) -> Self {
        Self { template }
    }

    /// A member of `spec`.
    pub(super) fn spec(self, key: &str) -> Option<&'o Value> {
        self.template.get("spec")?.get(key)
    }

    /// A member of `metadata`, if it is an object: annotations, labels.
    pub(super) fn metadata(self, key: &str) -> Option<&'o Map<String, Value>> {
        self.template.get("metadata")?.get(key)?.as_object()
    }

    /// Whether there is `metadata`, which may have no member.
    pub(super) fn has_metadata(self) -> bool {
        self.template
            .get("metadata")
            .is_some_and(|metadata| metadata.as_object().is_some_and(|it| !it.is_empty()))
    }

    /// Whether `metadata` has annotations, and nothing else.
    pub(super) fn has_only_annotations(self) -> bool {
        let metadata = self.template.get("metadata").and_then(Value::as_object);
        metadata.is_some_and(|metadata| metadata.len() == 1 && metadata.contains_key("annotations"))
    }

    /// The items of a list of `spec`.
    pub(super) fn list(self, key: &str) -> &'o [Value] {
        self.spec(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// All containers.
    pub(super) fn containers(self) -> impl Iterator<Item = &'o Value> {
        ["initContainers", "containers", "ephemeralContainers"]
            .into_iter()
            .flat_map(move |key| self.list(key))
    }

    /// Whether `spec` has a switch that is on. In YAML 1.1, which Kubernetes reads, `yes` and `on` are true as well.
    pub(super) fn is_on(self, key: &str) -> bool {
        match self.spec(key) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(on)) => *on,
            Some(other) => !other.as_str().is_some_and(|text| {
                ["false", "no", "off", "n"].iter().any(|off| off.eq_ignore_ascii_case(text))
            }),
        }
    }
}

/// The name of a container or volume; empty if it has none.
pub(super) fn name_of(object: &Value) -> &str {
    object.get("name").and_then(Value::as_str).unwrap_or_default()
}
