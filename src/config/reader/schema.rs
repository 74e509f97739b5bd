//! Makes parts of the JSON Schema (draft 2020-12) from tables of keys.

use serde_json::{Map, Value, json};

use super::table::{Definition, Format, Key, Keys, Names};

/// The schema while it is made: what has a name is defined once, and referred to from then on.
#[derive(Default)]
pub struct Schema {
    definitions: Map<String, Value>,
}

impl Schema {
    /// The schema of a mapping with the keys of these tables and no others.
    pub fn mapping(&mut self, tables: &[Keys]) -> Value {
        let mut mapping = json!({ "type": "object", "additionalProperties": false, "properties": {} });
        for keys in tables {
            self.add_keys(&mut mapping, keys);
        }
        let required: Vec<_> = tables.iter().flat_map(|keys| required(keys)).collect();
        if !required.is_empty() {
            mapping["required"] = json!(required);
        }
        mapping
    }

    /// Allows further keys in a mapping. A key that several tables have is the same in all of them.
    pub fn add_keys(&mut self, mapping: &mut Value, keys: Keys) {
        for key in keys {
            let schema = self.key(key);
            let known =
                mapping["properties"].as_object_mut().and_then(|known| known.insert(key.name.into(), schema));
            debug_assert!(
                known.is_none_or(|known| known == mapping["properties"][key.name]),
                "two rows of `{}` in one mapping",
                key.name
            );
        }
    }

    /// A reference to a definition, which is made if it is not there yet.
    pub fn refer(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.definitions.contains_key(name) {
            let definition = make(self);
            self.definitions.insert(name.to_owned(), definition);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    /// Every definition.
    pub fn into_definitions(self) -> Map<String, Value> {
        self.definitions
    }

    fn key(&mut self, key: &Key) -> Value {
        let mut schema = self.format(key.format);
        schema["description"] = key.description.into();
        if let Some(default) = key.default {
            schema["default"] = match key.format {
                Format::Bool | Format::Number(..) | Format::Fraction => {
                    default.parse().expect("the default of a bool or number is one")
                }
                _ => default.into(),
            };
        }
        schema
    }

    fn format(&mut self, format: Format) -> Value {
        match format {
            Format::Text => json!({ "type": "string" }),
            Format::Pattern(pattern) => {
                json!({ "type": "string", "anyOf": [{ "pattern": pattern }, self.variable()] })
            }
            Format::Bool => self.refer("boolean", |schema| schema.or_variable(&json!({ "type": "boolean" }))),
            Format::Number(min, u64::MAX) => self.or_variable(&json!({ "type": "integer", "minimum": min })),
            Format::Number(min, max) => {
                self.or_variable(&json!({ "type": "integer", "minimum": min, "maximum": max }))
            }
            Format::Fraction => self.or_variable(&json!({ "type": "number", "minimum": 0, "maximum": 1 })),
            Format::Words(words) => self.or_variable(&json!({ "enum": words.words() })),
            Format::List(item) => json!({ "type": "array", "items": self.format(*item) }),
            Format::NonEmptyList(item) => {
                json!({ "type": "array", "minItems": 1, "items": self.format(*item) })
            }
            Format::OneOrMore(item) => {
                let one = self.format(*item);
                json!({ "anyOf": [one, { "type": "array", "minItems": 1, "items": one }] })
            }
            Format::Distinct(item) => {
                let one = self.format(*item);
                json!({ "anyOf": [one, { "type": "array", "minItems": 1, "uniqueItems": true, "items": one }] })
            }
            Format::Names(names) => self.names(names),
            Format::Keys(tables) => self.mapping(tables),
            Format::AnyOf(formats) => {
                let formats: Vec<_> = formats.iter().map(|format| self.format(*format)).collect();
                json!({ "anyOf": formats })
            }
            Format::Defined(definition) => self.defined(definition),
            // The whole schema has the kinds, and the sources.
            Format::Credential => json!({ "$ref": "#/$defs/credential" }),
            Format::Secret => json!({ "$ref": "#/$defs/secret" }),
            Format::SecretStore => json!({ "$ref": "#/$defs/secret_store" }),
            Format::CredentialKind => json!({ "type": "string" }),
            Format::Json => json!({}),
        }
    }

    fn defined(&mut self, definition: &Definition) -> Value {
        self.refer(definition.name, |schema| {
            let mut made = schema.format(definition.format);
            made["description"] = definition.description.into();
            made
        })
    }

    fn names(&mut self, names: &Names) -> Value {
        let mut made = json!({ "type": "object", "additionalProperties": self.format(names.values) });
        if let Some(pattern) = names.pattern {
            made["propertyNames"] = json!({ "pattern": pattern });
        }
        if names.min > 0 {
            made["minProperties"] = names.min.into();
        }
        if let Some(max) = names.max {
            made["maxProperties"] = max.into();
        }
        made
    }

    /// A variable may stand for any value, and text with a variable in it may become a value.
    fn or_variable(&mut self, schema: &Value) -> Value {
        json!({ "anyOf": [schema, self.variable()] })
    }

    fn variable(&mut self) -> Value {
        self.refer("variable", |_| {
            json!({
                "description": "A variable of the environment.",
                "type": "string",
                "pattern": "\\$\\{[A-Za-z_]",
            })
        })
    }
}

/// The names of the keys that must be there.
pub fn required(keys: Keys) -> impl Iterator<Item = &'static str> {
    keys.iter().filter(|key| key.is_required()).map(|key| key.name)
}
