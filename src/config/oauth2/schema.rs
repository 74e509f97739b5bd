//! The part of the schema that `type: oauth2` has: the keys of every grant and every method of client authentication, and which
//! of them go together.

use serde_json::{Value, json};

use super::client_auth::METHODS;
use super::grant::{ClientRequirement, KINDS};
use super::settings::{KEYS, TOKEN};
use crate::config::reader::schema::{Schema, required};
use crate::config::reader::table::Keys;

/// Makes it.
pub fn schema(schema: &mut Schema) -> Value {
    let mut mapping = schema.mapping(&[&[KEYS], TOKEN].concat());
    let mut conditions = Vec::new();
    for (name, grant) in KINDS {
        schema.add_keys(&mut mapping, grant.keys);
        schema.add_keys(&mut mapping, grant.shares);
        let client = Some("client_id").filter(|_| grant.client != ClientRequirement::Optional);
        let required: Vec<_> = client.into_iter().chain(required(grant.keys)).collect();
        let others = KINDS.iter().map(|(_, other)| other.keys);
        conditions.push(condition("grant_type", name, &required, grant.keys, others));
    }
    for (name, method) in METHODS {
        schema.add_keys(&mut mapping, method.keys());
        let required: Vec<_> = required(method.keys()).collect();
        // A grant may have the keys of other methods.
        conditions.push(condition("auth_method", name, &required, method.keys(), std::iter::empty()));
    }
    conditions.push(json!({ "oneOf": [{ "required": ["token_url"] }, { "required": ["issuer"] }] }));
    mapping["allOf"] = conditions.into();
    mapping
}

/// If the key has this word, some keys are required, and keys of others that are not its own have no place.
fn condition(
    key: &str,
    word: &str,
    required: &[&str],
    own: Keys,
    others: impl Iterator<Item = Keys>,
) -> Value {
    let is_own = |name: &str| own.iter().any(|own| own.name == name);
    let foreign = others.flatten().filter(|other| !is_own(other.name));
    let forbidden: serde_json::Map<_, _> =
        foreign.map(|other| (other.name.to_owned(), false.into())).collect();
    json!({
        "if": { "properties": { key: { "const": word } }, "required": [key] },
        "then": { "required": required, "properties": forbidden },
    })
}
