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
    /// A variable of the environment.
    Variable(String),
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
    for section in ["services", "credentials", "defaults"] {
        if let Some(value) = root.get(section) {
            collect(section, value, &mut found);
        }
    }
    let is_kept = |reference: &Reference| {
        matches!(reference, Reference::File(_) | Reference::Variable(_) | Reference::Stored(_))
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
                    "type" if value.as_str().is_some_and(is_of_platform) => {
                        found.push(reference(Reference::Platform(text_of(mapping))));
                    }
                    _ if STORED.contains(&key) => found.push(reference(Reference::Stored(text_of(value)))),
                    "from" => found.push(reference(Reference::Elsewhere(text_of(mapping)))),
                    "env" => found.extend(texts(value).map(Reference::Variable).map(reference)),
                    "file" => found.extend(texts(value).map(Reference::File).map(reference)),
                    _ if key.ends_with("_file") => {
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
        found.push((path.to_owned(), Reference::Variable(name.to_owned())));
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
  '${KEY}': 1
";
        let found = of_service(&serde_yaml::from_str(service).unwrap());
        let file = |path: &str| Reference::File(path.to_owned());
        let variable = |name: &str| Reference::Variable(name.to_owned());
        let expected = [
            ("upstream", variable("HOST")),
            ("tls.ca_file", file("/ca")),
            ("tls.ca_file", file("/cb")),
            ("headers.set.x", variable("X")),
            ("auth.<<.token", file("/t")),
            ("auth.previous", Reference::Command("- cat\n- /x\n".into())),
            ("auth.secret", Reference::Stored("path: secret/crm\nfield: token\n".into())),
            ("auth.name", variable("NAME")),
            ("auth.subject_token", Reference::Elsewhere("from: caller\n".into())),
            ("auth.inner", Reference::Platform("type: kubernetes\n".into())),
            ("auth.${KEY}", variable("KEY")),
            ("listen", Reference::Listen("127.0.0.1:1\n".into())),
        ];
        assert_eq!(found, expected.map(|(path, reference)| (path.to_owned(), reference)));
    }

    #[test]
    fn references_of_a_file_are_those_of_its_services() {
        let text = "
admin: { token: { file: /admin } }
state: { key: { env: STATE } }
credentials: { a: { token: { env: A } } }
services: { b: { listen: '127.0.0.1:1', auth: { token: { file: /b }, c: { exec: [x] } } } }
";
        let found = of_file(&serde_yaml::from_str(text).unwrap());
        assert_eq!(found, BTreeSet::from([Reference::File("/b".into()), Reference::Variable("A".into())]));
    }
}
