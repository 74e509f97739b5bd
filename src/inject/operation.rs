//! The subset of JSON Patch (RFC 6902) that adds a sidecar: `add` and `replace`.

use serde::Serialize;
use serde_json::Value;

/// One operation of a JSON Patch. It serializes to the JSON of RFC 6902, section 4.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    /// Adds a member to an object, or inserts an item into an array before an index (section 4.1).
    Add {
        /// A JSON Pointer (RFC 6901).
        path: String,
        /// What is added.
        value: Value,
    },
    /// Replaces a value that is there (section 4.3).
    Replace {
        /// A JSON Pointer (RFC 6901).
        path: String,
        /// What stands there then.
        value: Value,
    },
}

impl Operation {
    /// Where it applies: a JSON Pointer (RFC 6901).
    pub fn path(&self) -> &str {
        match self {
            Self::Add { path, .. } | Self::Replace { path, .. } => path,
        }
    }

    /// What is added, or stands there then.
    pub fn value(&self) -> &Value {
        match self {
            Self::Add { value, .. } | Self::Replace { value, .. } => value,
        }
    }
}

/// A token of a JSON Pointer (RFC 6901, section 3).
pub(super) fn token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The tokens of a JSON Pointer.
pub(super) fn tokens(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"))
}

/// Applies operations to a document, one after the other. Returns `None` if one of them cannot be applied (RFC 6902, section 5); the
/// document is of no use then.
pub fn apply(document: &mut Value, operations: &[Operation]) -> Option<()> {
    operations.iter().try_for_each(|operation| apply_one(document, operation))
}

fn apply_one(document: &mut Value, operation: &Operation) -> Option<()> {
    let value = operation.value().clone();
    if matches!(operation, Operation::Replace { .. }) {
        *document.pointer_mut(operation.path())? = value;
        return Some(());
    }
    let (parent, last) = operation.path().rsplit_once('/')?;
    let last = tokens(&format!("/{last}")).next()?;
    match document.pointer_mut(parent)? {
        Value::Object(members) => drop(members.insert(last, value)),
        Value::Array(items) => {
            let index = last.parse().ok().filter(|index| *index <= items.len())?;
            items.insert(index, value);
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn add(path: &str, value: Value) -> Operation {
        Operation::Add { path: path.into(), value }
    }

    #[test]
    fn operation_is_written_as_in_rfc_6902() {
        let replace = Operation::Replace { path: "/a".into(), value: json!([1]) };
        assert_eq!(
            serde_json::to_value([add("/a~1b", json!("x")), replace]).unwrap(),
            json!([{"op": "add", "path": "/a~1b", "value": "x"}, {"op": "replace", "path": "/a", "value": [1]}])
        );
    }

    #[test]
    fn operations_apply_in_order() {
        let mut document = json!({"a": ["x"], "b": null});
        let operations = [
            add("/a/0", json!("y")),
            add("/a/2", json!("z")),
            add("/b", json!({})),
            add("/b/c~1d", json!(1)),
            Operation::Replace { path: "/b/c~1d".into(), value: json!(2) },
        ];
        assert_eq!(apply(&mut document, &operations), Some(()));
        assert_eq!(document, json!({"a": ["y", "x", "z"], "b": {"c/d": 2}}));
    }

    #[test]
    fn operation_without_place_is_not_applied() {
        for operation in [
            add("/a/2", json!(1)),
            add("/x/y", json!(1)),
            add("/a/x", json!(1)),
            Operation::Replace { path: "/b".into(), value: json!(1) },
        ] {
            assert_eq!(
                apply(&mut json!({"a": ["x"]}), std::slice::from_ref(&operation)),
                None,
                "{operation:?}"
            );
        }
    }
}
