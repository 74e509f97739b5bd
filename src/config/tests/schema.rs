//! `config/schema.json` has exactly the keys that the program reads, each in its section.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::invalid;
use crate::config::*;

const SCHEMA: &str = include_str!("../../../config/schema.json");

thread_local! {
    /// The path of a mapping, and a key that a reader asked it for.
    static ASKED: RefCell<BTreeSet<(String, &'static str)>> = const { RefCell::new(BTreeSet::new()) };
}

/// Records that a reader asked a mapping for a key.
pub(in crate::config) fn asked(path: &str, key: &'static str) {
    ASKED.with_borrow_mut(|asked| asked.insert((path.to_owned(), key)));
}

#[test]
fn schema_has_exactly_the_keys_that_are_read() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let environment = |_: &str| Some("x".into());
    for (_, text) in invalid::all() {
        let _ = Config::parse_with(
            text.strip_prefix('\n').unwrap_or(text),
            "a.yaml",
            &environment,
            crate::credential::AUTH_KINDS,
        );
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for sample in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if sample.extension().is_some_and(|extension| extension == "yaml") {
            let _ = Config::parse_with(
                &std::fs::read_to_string(sample).unwrap(),
                "a.yaml",
                &environment,
                crate::credential::AUTH_KINDS,
            );
        }
    }
    let asked = ASKED.take();
    let mut missing = BTreeSet::new();
    // A property is identified by its node in the schema, because several paths lead to it.
    let mut reached = BTreeSet::new();
    for (path, key) in &asked {
        let places = at(&schema, path);
        let have: Vec<_> = places.iter().filter(|place| place["properties"].get(key).is_some()).collect();
        if have.is_empty() && !places.is_empty() {
            missing.insert(format!("{path}: {key}"));
        }
        reached
            .extend(have.iter().map(|place| (std::ptr::from_ref::<Value>(place).addr(), (*key).to_owned())));
    }
    assert!(missing.is_empty(), "read, but not in config/schema.json: {missing:#?}");
    let mut unread = BTreeSet::new();
    visit(&schema, "", &mut |place, node| {
        for key in node["properties"].as_object().into_iter().flat_map(serde_json::Map::keys) {
            let is_read = reached.contains(&(std::ptr::from_ref(node).addr(), key.clone()));
            if !is_read {
                unread.insert(format!("{place}: {key}"));
            }
        }
    });
    assert!(
        unread.is_empty(),
        "in config/schema.json, but never read in samples and invalid files: {unread:#?}"
    );
}

#[test]
fn schema_agrees_with_the_reader() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut samples = 0;
    for sample in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if sample.extension().is_some_and(|extension| extension == "yaml") {
            let value: Value = serde_yaml::from_str(&std::fs::read_to_string(&sample).unwrap()).unwrap();
            let diagnostics: Vec<_> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(diagnostics.is_empty(), "{}: {diagnostics:#?}", sample.display());
            samples += 1;
        }
    }
    assert!(samples >= 2, "{samples} samples");
    for text in [
        "{}",
        "services: {}",
        "services: { a b: { upstream: 'https://a', auth: { type: bearer, token: t } } }",
        "services: { a: { upstream: 'https://a' } }",
        "services: { a: { upstream: 'https://a', auth: { type: bearr, token: t } } }",
        "services: { a: { upstream: 'https://a', auth: { type: bearer, token: 7 } } }",
        "services: { a: { upstream: 'https://a', auth: { type: bearer, token: { files: x } } } }",
        "services: { a: { upstream: 'https://a', auth: { type: bearer, token: t }, timeouts: { total: 5 } } }",
        "services: { a: { upstream: 'https://a', auth: { type: bearer, token: t }, timeout: {} } }",
    ] {
        let value: Value = serde_yaml::from_str(text).unwrap();
        assert!(!schema.is_valid(&value), "{text}");
        assert!(Config::parse(text, "a.yaml", crate::credential::AUTH_KINDS).is_err(), "{text}");
    }
}

/// The schemas of the value at a path: several, if there is a choice.
fn at<'a>(schema: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut places = alternatives(schema, schema);
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let (name, is_item) = step.split_once('[').map_or((step, false), |(name, _)| (name, true));
        let next =
            |place: &&'a Value| place["properties"].get(name).or_else(|| place.get("additionalProperties"));
        let mut below: Vec<&Value> =
            places.iter().filter_map(next).flat_map(|next| alternatives(schema, next)).collect();
        if is_item {
            below = below
                .iter()
                .filter_map(|place| place.get("items"))
                .flat_map(|items| alternatives(schema, items))
                .collect();
        }
        places = below;
    }
    places
}

/// A schema, the schemas that it refers to, and its alternatives.
fn alternatives<'a>(schema: &'a Value, node: &'a Value) -> Vec<&'a Value> {
    let mut all = vec![node];
    if let Some(name) = node["$ref"].as_str() {
        let name = name.strip_prefix("#/$defs/").unwrap();
        let target = schema["$defs"].get(name).unwrap_or_else(|| panic!("$defs has no {name}"));
        all.extend(alternatives(schema, target));
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        for node in node[choice].as_array().into_iter().flatten() {
            all.extend(alternatives(schema, node));
        }
    }
    all
}

/// Visits every schema in a schema.
fn visit<'a>(node: &'a Value, place: &str, each: &mut impl FnMut(&str, &'a Value)) {
    match node {
        Value::Object(entries) => {
            if node["properties"].is_object() {
                each(place, node);
            }
            for (key, below) in entries {
                visit(below, &format!("{place}/{key}"), each);
            }
        }
        Value::Array(items) => items.iter().for_each(|below| visit(below, place, each)),
        _ => {}
    }
}
