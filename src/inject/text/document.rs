//! One document of a text: its bytes, what it means, and the objects in it.

use serde_json::{Map, Number, Value, json};

use super::super::kinds;
use super::edit::Layout;

/// A document of a text.
#[derive(Clone, Copy)]
pub(super) struct Document<'t> {
    pub(super) text: &'t str,
    /// The number of lines before it.
    pub(super) first_line: usize,
}

/// An object of a document.
pub(super) struct Object {
    /// Where it is in the document: a JSON Pointer, empty if it is the document.
    pub(super) at: String,
    pub(super) value: Value,
}

/// The documents of a text, which have all its bytes together. No line within a document begins with `---` (YAML 1.2, 9.1.2).
pub(super) fn split(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut start, mut at, mut first_line) = (0, 0, 0);
    // A directive belongs to the document after the marker that follows it.
    let mut has_directive = false;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let is_marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.trim_start().len() < rest.len() || rest.is_empty());
        if is_marker && at > start && !has_directive {
            documents.push(Document { text: &text[start..at], first_line });
            (start, first_line) = (at, number);
        }
        has_directive = (has_directive && !is_marker) || line.starts_with('%');
        at += line.len();
    }
    documents.push(Document { text: &text[start..], first_line });
    documents
}

/// What an error about a text says in addition, if the text is a template of Helm or of another program.
pub(super) fn template_hint(text: &str) -> &'static str {
    if text.contains("{{") {
        "; this is a template, which must be rendered first: helm template … | sidekey inject -"
    } else {
        ""
    }
}

/// Brackets that a document may have if its nodes could not be found. libyaml takes quadratic time over open ones.
const MAX_UNCHECKED_BRACKETS: usize = 1000;

/// Why a document has no meaning: a message, and the line if it is known.
pub(super) type ParseError = (String, Option<usize>);

/// What a text means, with merge keys resolved.
pub(super) fn parse(text: &str) -> Result<Value, ParseError> {
    let error = |error: serde_yaml::Error| {
        let line = error.location().map(|location| location.line().saturating_sub(1));
        // The message says the line of the document.
        let message = error.to_string();
        let message = match message.split(" at line ").next().unwrap_or_default() {
            text if text.contains("more than one document") => "another document without `---` before it",
            text => text,
        };
        (message.to_owned(), line)
    };
    let mut value: serde_yaml::Value = serde_yaml::from_str(text).map_err(error)?;
    value.apply_merge().map_err(error)?;
    Ok(to_json(value))
}

/// Whether a text can be parsed in linear time.
pub(super) fn is_parsable(text: &str, is_scanned: impl Fn() -> bool) -> bool {
    text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() <= MAX_UNCHECKED_BRACKETS || is_scanned()
}

/// Kind and name of a document that has a key twice, and is YAML otherwise.
pub(super) fn outline(text: &str) -> Option<Value> {
    let layout = Layout::new(text)?;
    let scalar = |pointer: &str| {
        let text = text.get(layout.find(pointer)?.node.range.clone())?;
        parse(text).ok().filter(Value::is_string)
    };
    Some(json!({
        "apiVersion": scalar("/apiVersion")?,
        "kind": scalar("/kind")?,
        "metadata": {"name": scalar("/metadata/name")},
    }))
}

/// Whether a document is of a kind that may have a Pod in it.
pub(super) fn may_have_pod(outline: &Value) -> bool {
    kinds::pod_of(outline).is_some() || outline["kind"].as_str().is_some_and(|kind| kind.ends_with("List"))
}

/// The JSON that Kubernetes makes of a value.
fn to_json(value: serde_yaml::Value) -> Value {
    match value {
        serde_yaml::Value::Null => Value::Null,
        serde_yaml::Value::Bool(value) => value.into(),
        serde_yaml::Value::Number(number) => number
            .as_u64()
            .map(Number::from)
            .or_else(|| number.as_i64().map(Number::from))
            .or_else(|| number.as_f64().and_then(Number::from_f64))
            .map_or(Value::Null, Value::Number),
        serde_yaml::Value::String(text) => text.into(),
        serde_yaml::Value::Sequence(items) => items.into_iter().map(to_json).collect(),
        serde_yaml::Value::Mapping(entries) => {
            let members = entries.into_iter().map(|(key, value)| (key_text(&key), to_json(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        serde_yaml::Value::Tagged(tagged) => to_json(tagged.value),
    }
}

fn key_text(key: &serde_yaml::Value) -> String {
    match key {
        serde_yaml::Value::String(text) => text.clone(),
        other => serde_yaml::to_string(other).unwrap_or_default().trim_end().to_owned(),
    }
}

/// The objects of a document: itself, or the items of a list. Lists may be in lists.
pub(super) fn objects(document: Value) -> Vec<Object> {
    let mut objects = Vec::new();
    let mut pending = vec![Object { at: String::new(), value: document }];
    while let Some(Object { at, mut value }) = pending.pop() {
        let Some(pointer) = kinds::items_of(&value) else {
            objects.push(Object { at, value });
            continue;
        };
        let kind = kinds::item_kind(&value).map(str::to_owned);
        let version = value.get("apiVersion").cloned();
        let items = value.pointer_mut(pointer).and_then(Value::as_array_mut).map(std::mem::take);
        for (index, mut item) in items.unwrap_or_default().into_iter().enumerate().rev() {
            if let (Some(kind), Some(version), Some(item)) = (&kind, &version, item.as_object_mut()) {
                // Items of a typed list need not repeat these.
                item.entry("kind").or_insert_with(|| kind.as_str().into());
                item.entry("apiVersion").or_insert_with(|| version.clone());
            }
            pending.push(Object { at: format!("{at}{pointer}/{index}"), value: item });
        }
    }
    objects
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn split_keeps_every_byte() {
        for (text, parts) in [
            ("", vec![""]),
            ("a: 1\n", vec!["a: 1\n"]),
            ("---\na: 1\n--- # two\nb: 2\n---\n", vec!["---\na: 1\n", "--- # two\nb: 2\n", "---\n"]),
            ("# one\n---\na: |\n  ---\n----\n---", vec!["# one\n", "---\na: |\n  ---\n----\n", "---"]),
            ("%YAML 1.2\n---\na: 1\r\n---\r\nb", vec!["%YAML 1.2\n---\na: 1\r\n", "---\r\nb"]),
        ] {
            let documents = split(text);
            assert_eq!(documents.iter().map(|document| document.text).collect::<Vec<_>>(), parts);
            for document in documents {
                let before =
                    text.len() - text[document.text.as_ptr() as usize - text.as_ptr() as usize..].len();
                assert_eq!(document.first_line, text[..before].matches('\n').count());
            }
        }
    }

    #[test]
    fn keys_and_tags_are_read_as_kubernetes_does() {
        assert_eq!(parse("{1: a, true: b, c: !x d}").unwrap(), json!({"1": "a", "true": "b", "c": "d"}));
        assert_eq!(parse("a: &a {b: 1}\nc:\n  <<: *a\n").unwrap()["c"], json!({"b": 1}));
        assert_eq!(parse("a:\n\tb: 1\n").unwrap_err().1, Some(1));
    }

    #[test]
    fn items_of_lists_are_objects() {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"kind": "Service"},
            {"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [{"a": 1}, {"kind": "X"}]},
        ]});
        let found = objects(list);
        let at: Vec<_> = found.iter().map(|object| object.at.as_str()).collect();
        assert_eq!(at, ["/items/0", "/items/1/items/0", "/items/1/items/1"]);
        assert_eq!(found[1].value, json!({"a": 1, "kind": "Deployment", "apiVersion": "apps/v1"}));
        assert_eq!(found[2].value["kind"], "X");
        assert_eq!(objects(json!(null)).len(), 1);
    }
}
