//! The files that services read secrets from.

use std::collections::BTreeSet;

use serde_yaml::Value;

/// The paths of all secrets `{ file: PATH }` in a value.
pub fn secret_files(value: &Value) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    collect(value, &mut files);
    files
}

fn collect(value: &Value, files: &mut BTreeSet<String>) {
    match value {
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, files)),
        Value::Mapping(entries) => {
            files.extend(entries.get("file").and_then(Value::as_str).map(str::to_owned));
            entries.values().for_each(|value| collect(value, files));
        }
        _ => {}
    }
}
