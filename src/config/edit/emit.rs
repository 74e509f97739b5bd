//! YAML for a value: blocks, with short mappings and lists of scalars on one line; or blocks throughout, as Kubernetes writes them.

use serde_yaml::{Mapping, Value};

/// Longest line of a mapping or list in flow style, in bytes.
const MAX_FLOW: usize = 100;

/// An entry of a mapping in block style, with its line feed, at this indentation.
pub(super) fn entry(key: &str, value: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let key = scalar(&Value::from(key), false);
    match value {
        Value::Mapping(entries) if !is_short(value) => {
            let entries: String = entries
                .iter()
                .map(|(key, value)| entry(key.as_str().unwrap_or_default(), value, indent + 2))
                .collect();
            format!("{margin}{key}:\n{entries}")
        }
        Value::Sequence(items) if flow(value).len() > MAX_FLOW => {
            let items: Vec<_> = items.iter().map(|item| format!("{margin}  - {}\n", flow(item))).collect();
            format!("{margin}{key}:\n{}", items.concat())
        }
        Value::Mapping(_) | Value::Sequence(_) => format!("{margin}{key}: {}\n", flow(value)),
        _ => format!("{margin}{key}: {}\n", scalar(value, false)),
    }
}

/// An entry of a mapping in flow style.
pub(crate) fn flow_entry(key: &str, value: &Value) -> String {
    format!("{}: {}", scalar(&Value::from(key), true), flow(value))
}

/// An entry of a mapping with blocks throughout, with its line feeds, at this indentation.
pub(crate) fn block_entry(key: &str, value: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let key = safe_scalar(&Value::from(key));
    match value {
        Value::Mapping(entries) if !entries.is_empty() => {
            format!("{margin}{key}:\n{}", block_entries(entries, indent + 2))
        }
        Value::Sequence(items) if !items.is_empty() => {
            let items: String = items.iter().map(|item| block_item(item, indent + 2)).collect();
            format!("{margin}{key}:\n{items}")
        }
        Value::Mapping(_) | Value::Sequence(_) => format!("{margin}{key}: {}\n", flow(value)),
        _ => format!("{margin}{key}: {}\n", safe_scalar(value)),
    }
}

fn block_entries(entries: &Mapping, indent: usize) -> String {
    let entry = |(key, value): (&Value, &Value)| block_entry(key.as_str().unwrap_or_default(), value, indent);
    entries.iter().map(entry).collect()
}

/// An item of a list with blocks throughout, with its line feeds. Its dash is at this indentation.
pub(crate) fn block_item(value: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    match value {
        Value::Mapping(entries) if !entries.is_empty() => {
            let entries = block_entries(entries, indent + 2);
            format!("{margin}- {}", &entries[indent + 2..])
        }
        Value::Mapping(_) | Value::Sequence(_) => format!("{margin}- {}\n", flow(value)),
        _ => format!("{margin}- {}\n", safe_scalar(value)),
    }
}

/// A scalar that YAML 1.1, which Kubernetes reads, does not read as something else than a text.
fn safe_scalar(value: &Value) -> String {
    const WORDS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
    let is_other = |text: &&str| {
        WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
            || text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
                && text.chars().all(|c| c.is_ascii_hexdigit() || "xXoO_:.+-".contains(c))
    };
    value.as_str().filter(is_other).map_or_else(|| scalar(value, false), quoted)
}

/// A value in flow style.
pub(crate) fn flow(value: &Value) -> String {
    match value {
        Value::Mapping(entries) if entries.is_empty() => "{}".into(),
        Value::Mapping(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| flow_entry(key.as_str().unwrap_or_default(), value))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Sequence(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        scalar => self::scalar(scalar, true),
    }
}

/// Whether a mapping is written on one line: where a secret is read from, and the like.
fn is_short(value: &Value) -> bool {
    let is_scalar = |value: &Value| !value.is_mapping() && !value.is_sequence();
    value.as_mapping().is_some_and(|entries| {
        entries.is_empty()
            || entries.len() == 1 && entries.values().all(is_scalar) && flow(value).len() <= MAX_FLOW
    })
}

fn scalar(value: &Value, is_in_flow: bool) -> String {
    let text = serde_yaml::to_string(value).unwrap_or_default();
    let text = text.trim_end_matches('\n');
    // Between brackets fewer characters can stand without quotes.
    let is_plain = |c: char| match c {
        _ if c.is_alphanumeric() => true,
        _ if is_in_flow => "_-./:@+ ".contains(c),
        _ => c.is_ascii(),
    };
    let is_plain = text.chars().all(is_plain) && !(is_in_flow && text.starts_with(['-', ':', '@', '+', ' ']));
    // A text of several lines would need the indentation of where it stands.
    match value.as_str().filter(|value| value.contains('\n') || !is_plain) {
        Some(value) => quoted(value),
        None => text.to_owned(),
    }
}

/// A text in double quotes, in which YAML and JSON agree but for characters that are escaped here.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        if c.is_ascii() || c.is_alphanumeric() {
            quoted.push(c);
        } else {
            quoted.extend(format!("\\U{:08X}", u32::from(c)).chars());
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entry_is_written_as_people_write_it() {
        let value: Value = serde_yaml::from_str(
            "{upstream: 'https://a.example', auth: {type: bearer, token: {file: /x}}, allow: [read_only, '/a,b']}",
        )
        .unwrap();
        let expected = "  a:\n    upstream: https://a.example\n    auth:\n      type: bearer\n      token: { file: /x }\n    \
                        allow: [read_only, \"/a,b\"]\n";
        assert_eq!(entry("a", &value, 2), expected);
    }

    #[test]
    fn blocks_are_written_as_kubernetes_writes_them() {
        let value: Value = serde_yaml::from_str(
            "[{name: a, args: [x, 'on', '1:20', 0.1.0, 50m], ports: [{port: 1}], empty: [], none: {}}, b]",
        )
        .unwrap();
        let expected = "list:\n  - name: a\n    args:\n      - x\n      - \"on\"\n      - \"1:20\"\n      - \"0.1.0\"\n      - 50m\n    \
                        ports:\n      - port: 1\n    empty: []\n    none: {}\n  - b\n";
        assert_eq!(block_entry("list", &value, 0), expected);
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["[ -~]{0,12}", "\\PC{0,6}", "[a\n\r\t :#,-]{0,8}", Just("yes".to_owned())];
        let leaf = prop_oneof![
            text.prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            any::<u32>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-z -]{1,8}", inner, 0..4)
                    .prop_map(|map| Value::Mapping(map.into_iter().map(|(k, v)| (k.into(), v)).collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_read_back_as_it_was(key in "\\PC{1,8}", value in values()) {
            let text = entry(&key, &value, 2);
            let read: Value = serde_yaml::from_str(&format!("x:\n{text}")).unwrap();
            prop_assert_eq!(&read["x"][key.as_str()], &value, "{}", text);
            let text = block_entry(&key, &value, 2);
            let read: Value = serde_yaml::from_str(&format!("x:\n{text}")).unwrap();
            prop_assert_eq!(&read["x"][key.as_str()], &value, "{}", text);
            let text = block_item(&value, 2);
            let read: Value = serde_yaml::from_str(&format!("x:\n{text}")).unwrap();
            prop_assert_eq!(&read["x"][0], &value, "{}", text);
        }
    }
}
