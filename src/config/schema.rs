//! The JSON Schema of a configuration, for editors: made from the tables that the readers read by.

use serde_json::{Value, json};

use super::auth::settings::{AuthKind, AuthKinds};
use super::load::FILE;
use super::reader::schema::Schema;

/// The schema, with these kinds of credentials.
pub fn schema(kinds: AuthKinds) -> Value {
    let mut schema = Schema::default();
    let mut whole = schema.mapping(FILE);
    let kinds: Vec<_> =
        kinds.iter().map(|kind| schema.refer(kind.name, |schema| credential(kind, schema))).collect();
    schema.refer("credential", |_| {
        json!({
            "description": "What is injected into requests.",
            "type": "object",
            "required": ["type"],
            "oneOf": kinds,
        })
    });
    whole["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    whole["title"] = "Sidekey configuration".into();
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
