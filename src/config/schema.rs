//! The JSON Schemas of a configuration and of an included file, for editors: made from the tables that the readers read by.

use serde_json::{Value, json};

use super::auth::settings::AuthKind;
use super::file::{FILE, INCLUDED};
use super::reader::schema::Schema;
use super::reader::table::Keys;
use super::reader::value::SourceKinds;
use super::readers::Readers;
use super::secret_stores::StoreKinds;

/// The schema of the main file, with these kinds of credentials and sources of secrets.
pub fn schema(readers: Readers) -> Value {
    let mut whole = of_file(FILE, "Sidekey configuration", readers);
    whole["anyOf"] = json!([
        { "required": ["services"], "properties": { "services": { "minProperties": 1 } } },
        { "required": ["include"] },
    ]);
    whole
}

/// The schema of a file that is included.
pub fn included_schema(readers: Readers) -> Value {
    of_file(INCLUDED, "File included by a Sidekey configuration", readers)
}

fn of_file(tables: &[Keys], title: &str, readers: Readers) -> Value {
    let mut schema = Schema::default();
    let mut whole = schema.mapping(tables);
    let kind = |kind: &AuthKind| schema.refer(kind.name, |schema| credential(kind, schema));
    let kinds: Vec<_> = readers.kinds.iter().map(kind).collect();
    schema.refer("secret", |schema| secret(readers.sources, schema));
    schema.refer("secret_store", |schema| secret_store(readers.stores, schema));
    schema.refer("credential", |_| {
        json!({
            "description": "What is injected into requests.",
            "type": "object",
            "required": ["type"],
            "oneOf": kinds,
        })
    });
    whole["patternProperties"] = json!({ "^x-": { "description": "Ignored: a place for anchors." } });
    whole["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    whole["title"] = title.into();
    whole["description"] = "docs/CONFIGURATION.md explains every key.".into();
    whole["$defs"] = schema.into_definitions().into();
    whole
}

/// The part of a kind, with `type`.
fn credential(kind: &AuthKind, schema: &mut Schema) -> Value {
    let mut part = (kind.schema)(schema);
    part["properties"]["type"] = json!({ "description": "The kind of credential.", "const": kind.name });
    let required = part["required"].as_array().cloned().unwrap_or_default();
    part["required"] = std::iter::once(json!("type")).chain(required).collect();
    part
}

/// A secret: text, or the keys of one source.
fn secret(sources: SourceKinds, schema: &mut Schema) -> Value {
    let mut forms: Vec<_> = sources.iter().map(|source| schema.mapping(&[source.keys])).collect();
    forms.push(schema.refer("plain_secret", |_| {
        json!({ "type": "string", "description": "The secret itself: allowed, and `sidekey check` warns." })
    }));
    json!({ "description": "One secret value, and where it is read from.", "anyOf": forms })
}

/// A store of secrets: `type`, and the keys of that kind.
fn secret_store(stores: StoreKinds, schema: &mut Schema) -> Value {
    let mut forms = Vec::new();
    for store in stores {
        let mut form = schema.mapping(&[store.keys]);
        form["properties"]["type"] = json!({ "description": "The kind of store.", "const": store.name });
        let required = form["required"].as_array().cloned().unwrap_or_default();
        form["required"] = std::iter::once(json!("type")).chain(required).collect();
        forms.push(form);
    }
    json!({ "description": "A server that secrets are read from.", "oneOf": forms })
}
