//! What readers asked for: every key with its value, or with its default. Made of the same tables that they read by, so that a new
//! key needs nothing here. Nothing in it is a secret: of a secret it has the source.

use serde_json::{Map, Value as Json, json};
use url::Url;

use super::sections;
use super::table::{Format, Key};
use super::tree::{Kind, Node};

/// What stands for a value that may be a secret.
pub const HIDDEN: &str = "…";

/// One key of a section.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The path, such as `services.billing.timeouts.connect`.
    pub path: String,
    /// The value as it is written. Of a source of a secret with several arguments, the first one.
    pub value: Json,
    /// Whether the file does not have the key.
    pub is_default: bool,
    /// Whether it is a secret, so that the value is its source.
    pub is_secret: bool,
}

/// Whether a value of this format may be a secret. The keys of its source are no settings of their own.
pub(super) fn is_secret(format: Format) -> bool {
    format.alternatives().iter().any(|format| matches!(format, Format::Secret))
}

/// The settings that a key stands for: one, or those of a section that the file does not have. A section that it has stands for
/// none, because its own keys are asked for.
pub(super) fn of(path: String, key: &Key, node: Option<&Node>) -> Vec<Setting> {
    let Some(node) = node else { return defaults(path, key) };
    let is_secret = is_secret(key.format);
    let mut formats = key.format.alternatives().into_iter();
    let is_section =
        formats.any(|format| matches!(format, Format::Keys(_) | Format::Credential | Format::SecretStore));
    if is_section && !is_secret && matches!(node.kind, Kind::Map(_)) {
        return Vec::new();
    }
    let is_private = path.split('.').scan(String::new(), |above, name| {
        let holds = sections::holds_secret(above, name);
        *above = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
        Some(holds)
    });
    let is_private = is_private.into_iter().any(|holds| holds);
    vec![Setting { value: shown(node, key.format, is_private), path, is_default: false, is_secret }]
}

fn defaults(path: String, key: &Key) -> Vec<Setting> {
    if let Some(default) = key.default {
        let value = match key.format {
            Format::Bool | Format::Number(..) | Format::Fraction => {
                default.parse().unwrap_or_else(|_| default.into())
            }
            _ => default.into(),
        };
        return vec![Setting { path, value, is_default: true, is_secret: false }];
    }
    // Only a section that is one mapping and nothing else has defaults without being there.
    let format = match key.format {
        Format::Defined(definition) => definition.format,
        format => format,
    };
    let Format::Keys(tables) = format else { return Vec::new() };
    let keys = tables.iter().flat_map(|keys| keys.iter());
    if keys.clone().any(Key::is_required) {
        return Vec::new();
    }
    keys.flat_map(|inner| defaults(format!("{path}.{}", inner.name), inner)).collect()
}

/// A value without what may be a secret.
fn shown(node: &Node, format: Format, is_private: bool) -> Json {
    let is_json = || format.alternatives().iter().any(|format| matches!(format, Format::Json));
    let may_be_secret = is_secret(format) || (is_private && is_json());
    match &node.kind {
        Kind::Null | Kind::Invalid => Json::Null,
        _ if may_be_secret => source(node),
        Kind::Bool(value) => json!(value),
        Kind::Number(number) => json!(number),
        Kind::Fraction(number) => json!(number),
        Kind::Text { value, .. } => without_secret_parts(value).into(),
        Kind::List(nodes) => nodes.iter().map(|node| shown(node, format.of_items(), is_private)).collect(),
        Kind::Map(entries) => {
            let format_of = |name: &str| {
                let keys = format.tables().iter().flat_map(|keys| keys.iter());
                keys.clone().find(|key| key.name == name).map_or_else(|| format.of_names(), |key| key.format)
            };
            let entry =
                |(name, node): &(String, Node)| (name.clone(), shown(node, format_of(name), is_private));
            Json::Object(entries.iter().map(entry).collect())
        }
    }
}

/// Where a secret is read from.
fn source(node: &Node) -> Json {
    let Kind::Map(entries) = &node.kind else { return HIDDEN.into() };
    let entry = |(name, node): &(String, Node)| {
        let value = match &node.kind {
            // Of a command, its arguments may be secret.
            Kind::List(nodes) => match nodes.as_slice() {
                [] => json!([]),
                [only] => json!([text(only)]),
                [first, ..] => json!([text(first), HIDDEN]),
            },
            _ => text(node),
        };
        (name.clone(), value)
    };
    Json::Object(entries.iter().map(entry).collect::<Map<_, _>>())
}

fn text(node: &Node) -> Json {
    match &node.kind {
        Kind::Text { value, .. } => without_secret_parts(value).into(),
        Kind::Bool(value) => json!(value),
        Kind::Number(number) => json!(number),
        _ => HIDDEN.into(),
    }
}

/// A text. Of a URL with a password or a query, what may be a secret in it is hidden.
fn without_secret_parts(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return text.to_owned() };
    if url.cannot_be_a_base() || (url.password().is_none() && url.query().is_none()) {
        return text.to_owned();
    }
    if url.password().is_some() {
        let _ = url.set_password(Some("hidden"));
    }
    if url.query().is_some() {
        url.set_query(Some("hidden"));
    }
    url.into()
}
