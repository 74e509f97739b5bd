//! What the text of a service refers to: files, variables of the environment, commands, secrets in stores, what the caller or the machine
//! has, listening addresses.

use std::collections::BTreeSet;

use serde_yaml::Value;

use crate::credential::is_of_platform;

/// Something outside of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reference {
    /// A file, by its path.
    File(String),
    /// A variable of the environment that has a secret.
    Variable(String),
    /// A variable that is written into a value, and the key of that: at another key the value may be shown.
    Interpolated(String, String),
    /// A command, as text.
    Command(String),
    /// A secret in a store, as text.
    Stored(String),
    /// What the caller or the machine has (`from`), with the keys beside it, as text: a token of the caller, the keys of a role.
    Elsewhere(String),
    /// The identity of the machine or its platform: a credential of some kinds, as text.
    Platform(String),
    /// An address that is listened on, as text.
    Listen(String),
}

/// The sources whose secrets are in a store.
const STORED: [&str; 2] = ["vault", "aws_secrets_manager"];

/// A reference, and the path of the key that has it.
pub(super) type Found = (String, Reference);

/// Everything that a service refers to.
pub(super) fn of_service(service: &Value) -> Vec<Found> {
    let mut found = Vec::new();
    collect("", service, &mut found);
    let listen = service.get("listen").into_iter();
    found.extend(listen.map(|listen| ("listen".to_owned(), Reference::Listen(text_of(listen)))));
    found
}

/// Every file, variable and secret in a store that the services and shared credentials of a file refer to.
pub(super) fn of_file(root: &Value) -> BTreeSet<Reference> {
    let mut found = Vec::new();
    // Keys are named as in a service.
    for (section, key) in [("services", ""), ("credentials", "auth")] {
        let entries = root.get(section).and_then(Value::as_mapping);
        entries
            .into_iter()
            .flat_map(|entries| entries.values())
            .for_each(|value| collect(key, value, &mut found));
    }
    if let Some(defaults) = root.get("defaults") {
        collect("", defaults, &mut found);
    }
    let is_kept = |reference: &Reference| {
        use Reference::{File, Interpolated, Stored, Variable};
        matches!(reference, File(_) | Variable(_) | Interpolated(..) | Stored(_))
    };
    found.into_iter().map(|(_, reference)| reference).filter(is_kept).collect()
}

fn collect(path: &str, value: &Value, found: &mut Vec<Found>) {
    match value {
        Value::String(text) => variables(path, text, found),
        Value::Sequence(items) => items.iter().for_each(|item| collect(path, item, found)),
        Value::Tagged(tagged) => collect(path, &tagged.value, found),
        mapping @ Value::Mapping(entries) => {
            for (key, value) in entries {
                let key = key.as_str().unwrap_or_default();
                let below = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                // A source stands in place of the secret.
                let reference = |reference| (path.to_owned(), reference);
                match key {
                    "exec" => found.push(reference(Reference::Command(text_of(value)))),
                    "type" if value.as_str().is_some_and(may_be_of_platform) => {
                        found.push(reference(Reference::Platform(text_of(mapping))));
                    }
                    _ if STORED.contains(&key) => found.push(reference(Reference::Stored(text_of(value)))),
                    "from" => found.push(reference(Reference::Elsewhere(text_of(mapping)))),
                    "env" => found.extend(texts(value).map(Reference::Variable).map(reference)),
                    "file" => found.extend(texts(value).map(Reference::File).map(reference)),
                    _ if is_of_file(key) => {
                        found.extend(texts(value).map(Reference::File).map(|file| (below.clone(), file)));
                    }
                    _ => {}
                }
                variables(&below, key, found);
                collect(&below, value, found);
            }
        }
        _ => {}
    }
}

/// Whether a key has the path of a file, or several.
fn is_of_file(key: &str) -> bool {
    key.ends_with("_file") || key == "assertion_certificate"
}

/// Whether a kind is, or may be once its variables are replaced, what this machine or its platform has.
fn may_be_of_platform(kind: &str) -> bool {
    is_of_platform(kind) || kind.replace("$${", "").contains("${")
}

/// The texts in a value.
fn texts(value: &Value) -> impl Iterator<Item = String> {
    let values = match value {
        Value::Sequence(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    values.iter().filter_map(Value::as_str).map(|text| text.replace("$${", "${"))
}

/// Variables in `${NAME}` and `${NAME:-default}`.
fn variables(path: &str, text: &str, found: &mut Vec<Found>) {
    let without_escapes = text.replace("$${", "");
    for after in without_escapes.split("${").skip(1) {
        let name = after.split(['}', ':']).next().unwrap_or_default();
        found.push((path.to_owned(), Reference::Interpolated(path.to_owned(), name.to_owned())));
    }
}

fn text_of(value: &Value) -> String {
    serde_yaml::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn references_are_found_wherever_they_stand() {
        let service = "
upstream: https://${HOST:-x}/$${not}
listen: 127.0.0.1:1
tls: { ca_file: [/ca, /cb] }
headers: { set: { x: 'a ${X}' } }
auth:
  <<: { token: { file: /t } }
  previous: !any { exec: [cat, /x] }
  secret: { vault: { path: secret/crm, field: token } }
  name: { env: NAME }
  subject_token: { from: caller }
  inner: { type: kubernetes }
  other: { type: bearer }
  variable: { type: '${KIND:-kubernetes}' }
  assertion_certificate: /c
  '${KEY}': 1
";
        let found = of_service(&serde_yaml::from_str(service).unwrap());
        let file = |path: &str| Reference::File(path.to_owned());
        let within =
            |key: &str, name: &str| (key.to_owned(), Reference::Interpolated(key.into(), name.into()));
        let at = |key: &str, reference: Reference| (key.to_owned(), reference);
        let expected = [
            within("upstream", "HOST"),
            at("tls.ca_file", file("/ca")),
            at("tls.ca_file", file("/cb")),
            within("headers.set.x", "X"),
            at("auth.<<.token", file("/t")),
            at("auth.previous", Reference::Command("- cat\n- /x\n".into())),
            at("auth.secret", Reference::Stored("path: secret/crm\nfield: token\n".into())),
            at("auth.name", Reference::Variable("NAME".into())),
            at("auth.subject_token", Reference::Elsewhere("from: caller\n".into())),
            at("auth.inner", Reference::Platform("type: kubernetes\n".into())),
            at("auth.variable", Reference::Platform("type: ${KIND:-kubernetes}\n".into())),
            within("auth.variable.type", "KIND"),
            at("auth.assertion_certificate", file("/c")),
            within("auth.${KEY}", "KEY"),
            at("listen", Reference::Listen("127.0.0.1:1\n".into())),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn references_of_a_file_are_those_of_its_services() {
        let text = "
admin: { token: { file: /admin } }
state: { key: { env: STATE } }
credentials: { a: { token: { env: A }, prefix: '${P}' } }
defaults: { upstream: '${U}' }
services: { b: { listen: '127.0.0.1:1', auth: { token: { file: /b }, c: { exec: [x] } } } }
";
        let found = of_file(&serde_yaml::from_str(text).unwrap());
        let expected = [
            Reference::File("/b".into()),
            Reference::Variable("A".into()),
            Reference::Interpolated("auth.prefix".into(), "P".into()),
            Reference::Interpolated("upstream".into(), "U".into()),
        ];
        assert_eq!(found, BTreeSet::from(expected));
    }

    /// Collects the keys of a schema whose values are paths of files, as their descriptions say.
    fn file_keys(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
        const OF_FILES: [&str; 7] = [
            "PEM file",
            "Path of",
            "File ",
            "The file",
            "The key file",
            "Key file",
            "With `from: profile`: the file",
        ];
        let properties = schema.get("properties").and_then(serde_json::Value::as_object);
        for (key, schema) in properties.into_iter().flatten() {
            let description =
                schema.get("description").and_then(serde_json::Value::as_str).unwrap_or_default();
            if OF_FILES.iter().any(|start| description.starts_with(start)) {
                found.insert(key.clone());
            }
        }
        match schema {
            serde_json::Value::Object(members) => {
                members.values().for_each(|member| file_keys(member, found));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| file_keys(item, found)),
            _ => {}
        }
    }

    #[test]
    fn key_of_every_file_is_known() {
        let mut keys = BTreeSet::new();
        file_keys(&crate::config::schema(crate::credential::READERS)["$defs"], &mut keys);
        assert!(keys.len() >= 8, "{keys:?}");
        // Of a store, which is a reference as a whole.
        keys.remove("path");
        for key in keys {
            assert!(key == "file" || is_of_file(&key), "{key}");
        }
    }
}
