//! Resolves what YAML and the environment leave open in the parsed tree: rejects duplicate keys, applies
//! merge keys (`<<`), replaces variables. After this, no code depends on YAML. Resolving a node again changes nothing.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::interpolate;
use super::report::{Report, child};
use super::sections;
use super::tree::{Kind, Node};

/// Resolves a node and everything in it.
pub(crate) fn resolve(node: &mut Node, path: &str, private: bool, report: &Report<'_>) {
    let location = node.location;
    match &mut node.kind {
        Kind::Text { expanded: true, .. } => {}
        Kind::Text { value, expanded } => match interpolate::replace(value, report.environment()) {
            Ok(None) => {}
            Ok(Some(replaced)) => {
                *value = Zeroizing::new(replaced);
                *expanded = true;
            }
            Err(error) => {
                report.error(location, path, error.to_string());
                node.kind = Kind::Invalid;
            }
        },
        Kind::List(entries) => {
            for (index, entry) in entries.iter_mut().enumerate() {
                resolve(entry, &format!("{path}[{index}]"), private, report);
            }
        }
        Kind::Map(entries) => {
            drop_duplicates(entries, path, private, report);
            for (key, entry) in entries.iter_mut() {
                let private = private || sections::holds_secret(path, key);
                resolve(entry, &child(path, key), private, report);
            }
            merge(entries, path, report);
        }
        Kind::Null | Kind::Invalid | Kind::Bool(_) | Kind::Number(_) | Kind::Fraction(_) => {}
    }
}

/// Resolves which keys a mapping has, and no value: each may then be resolved by itself.
pub(crate) fn resolve_keys(node: &mut Node, path: &str, private: bool, report: &Report<'_>) {
    let Kind::Map(entries) = &mut node.kind else { return };
    drop_duplicates(entries, path, private, report);
    if let Some((key, merged)) = entries.iter_mut().find(|(key, _)| key == "<<") {
        resolve(merged, &child(path, key), private, report);
    }
    merge(entries, path, report);
}

/// Reports duplicate keys. The first entry stays, so that the rest of the file is still checked.
fn drop_duplicates(entries: &mut Vec<(String, Node)>, path: &str, private: bool, report: &Report<'_>) {
    let mut first: HashMap<String, usize> = HashMap::new();
    entries.retain(|(key, node)| {
        let Some(line) = first.get(key) else {
            first.insert(key.clone(), node.location.line);
            return true;
        };
        // `{ password: a,b,b }` makes keys of a part of a secret.
        let path =
            if private && matches!(node.kind, Kind::Null) { path.to_owned() } else { child(path, key) };
        report.error(
            node.location,
            &path,
            format!("duplicate key, first on line {line}; remove one of them"),
        );
        false
    });
}

/// Applies `<<: *other` or a list of aliases. A key of the mapping itself wins, then the earlier entry of the
/// list.
fn merge(entries: &mut Vec<(String, Node)>, path: &str, report: &Report<'_>) {
    let Some(at) = entries.iter().position(|(key, _)| key == "<<") else { return };
    let (_, node) = entries.remove(at);
    let location = node.location;
    let sources = match node.kind {
        Kind::List(sources) => sources,
        kind => vec![Node { kind, location, path: None }],
    };
    let mut known: std::collections::HashSet<String> = entries.iter().map(|(key, _)| key.clone()).collect();
    for source in sources {
        if let Kind::Map(merged) = source.kind {
            entries.extend(merged.into_iter().filter(|(key, _)| known.insert(key.clone())));
        } else {
            report.error(
                location,
                &child(path, "<<"),
                "`<<` must be an alias to a mapping, or a list of such aliases",
            );
        }
    }
}
