//! `type: header`: several header fields and query parameters, each with a fixed value or a secret. Examples
//! are an API with two keys, or a key and the version of the API.

use form_urlencoded::Serializer;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::config::auth::placement::RequestPart;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::schema::Schema;
use crate::config::reader::secret;
use crate::config::reader::secret::{SECRET, VALUE};
use crate::config::reader::table::{Format, Key, Keys, Names};
use crate::config::reader::value::Value;
use crate::credential::{Build, Fixed, Kind, Owned, Rejection, Signer, header_name, sensitive};
use crate::proto::FieldName;
use crate::secret::Secret;

/// The limit on the header fields, and on the query parameters.
const MAX_ENTRIES: usize = 16;

/// A secret with text before it, as in `type: api_key`.
const PREFIXED: Keys = &[
    Key::required("prefix", Format::Text, "Text before the secret, such as `Bearer `."),
    Key::required("value", SECRET, "The secret."),
];

/// The format of a header field's value.
const FIELD: Format = Format::AnyOf(&[VALUE, Format::Keys(&[PREFIXED])]);

/// The format of the header fields.
const FIELDS: Format = Format::Names(&Names { min: 1, max: Some(MAX_ENTRIES), ..Names::of(FIELD) });

/// The format of the query parameters.
const PARAMETERS: Format = Format::Names(&Names { min: 1, max: Some(MAX_ENTRIES), ..Names::of(VALUE) });

/// The kind `header`.
pub struct Header;

/// The settings: names and values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    headers: Vec<(FieldName, FieldValue)>,
    query: Vec<(String, FieldValue)>,
}

/// The value of a header field or a query parameter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct FieldValue {
    /// Written before the secret; may be empty.
    prefix: String,
    secret: Secret,
    /// Whether it is a fixed text, and no secret.
    is_fixed: bool,
}

impl Kind for Header {
    const NAME: &'static str = "header";
    const KEYS: Keys = &[
        Key::optional(
            "headers",
            FIELDS,
            "Header fields by name: text for a fixed value, a secret, or `prefix` and `value`.",
        ),
        Key::optional("query", PARAMETERS, "Query parameters by name: text for a fixed value, or a secret."),
    ];
    const IS_FIXED: bool = true;
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        let (headers, query) = (mapping.optional("headers"), mapping.optional("query"));
        let has_secret = [&headers, &query].into_iter().flatten().any(has_secret);
        let headers =
            headers.map_or(Some(Vec::new()), |value| entries(&value, header_name, is_same_header, of_header));
        let query = query.map_or(Some(Vec::new()), |value| entries(&value, parameter, String::eq, of_query));
        let settings = Settings { headers: headers?, query: query? };
        if settings.headers.is_empty() && settings.query.is_empty() {
            mapping.value().error("`headers` and `query` are both empty; at least one entry is required");
            return None;
        }
        // Beside another credential, which has the secret.
        let is_one_of_several = mapping.value().is_item();
        if !has_secret && !is_one_of_several {
            mapping.value().warn(
                "every value is in plain text; a secret is kept out of the configuration by `{ file: PATH }` or `{ env: NAME }`",
            );
        }
        Some(settings)
    }

    fn schema(schema: &mut Schema) -> serde_json::Value {
        let mut part = schema.mapping(&[Self::KEYS]);
        part["anyOf"] = serde_json::json!([{ "required": ["headers"] }, { "required": ["query"] }]);
        part
    }

    fn owned(settings: &Settings) -> Owned {
        let headers = settings.headers.iter().map(|(name, _)| name.name().clone());
        let owned = headers.fold(Owned::default(), Owned::with_header);
        settings.query.iter().fold(owned, |owned, (name, _)| owned.with_query(name.clone()))
    }

    fn build(settings: &Settings, _: &Build<'_>) -> Box<dyn Signer> {
        let fields = settings.headers.iter().map(|(name, value)| (name.clone(), header_value(value)));
        let values = settings.headers.iter().map(|(_, value)| value);
        let values = values.chain(settings.query.iter().map(|(_, value)| value));
        let secrets = values.filter(|value| !value.is_fixed).map(|value| value.secret.expose());
        let fixed = Fixed::fields(fields).with_echoes(secrets);
        if settings.query.is_empty() {
            return Box::new(fixed);
        }
        let mut pairs = Serializer::new(String::new());
        for (name, value) in &settings.query {
            pairs.append_pair(name, value.secret.expose());
        }
        let names = settings.query.iter().map(|(name, _)| name.clone());
        Box::new(fixed.with_query(names, sensitive(&Zeroizing::new(pairs.finish()))))
    }

    fn explain_401(_: &Settings, _: &Rejection<'_>) -> Vec<String> {
        let sentences = [
            "Are all fields that the API requires in `headers` and `query`, with the names in its documentation?",
            "One of the keys may have been revoked, or be for another environment.",
        ];
        sentences.map(str::to_owned).to_vec()
    }
}

fn header_value(value: &FieldValue) -> HeaderValue {
    sensitive(&Zeroizing::new(format!("{}{}", value.prefix, value.secret.expose())))
}

/// Whether one of the values is read from a source.
fn has_secret(value: &Value<'_>) -> bool {
    value.is_map() && value.entries().unwrap_or_default().iter().any(|(_, value)| value.is_map())
}

/// The entries of a mapping from names to values.
fn entries<N, V>(
    value: &Value<'_>,
    name: fn(&str) -> Result<N, String>,
    is_same: fn(&N, &N) -> bool,
    read: fn(&Value<'_>) -> Option<V>,
) -> Option<Vec<(N, V)>> {
    let entries = value.entries()?;
    if entries.is_empty() || entries.len() > MAX_ENTRIES {
        value.error(format!("from 1 to {MAX_ENTRIES} entries"));
        return None;
    }
    let mut read_entries: Vec<(N, V)> = Vec::new();
    let mut is_valid = true;
    for (text, value) in &entries {
        match name(text) {
            Ok(name) if read_entries.iter().any(|(other, _)| is_same(other, &name)) => {
                value.error("the same name is used twice");
                is_valid = false;
            }
            Ok(name) => match read(value) {
                Some(value) => read_entries.push((name, value)),
                None => is_valid = false,
            },
            Err(message) => {
                value.error(message);
                is_valid = false;
            }
        }
    }
    is_valid.then_some(read_entries)
}

/// Whether two names are the same header field, in any case.
fn is_same_header(one: &FieldName, other: &FieldName) -> bool {
    one.name() == other.name()
}

fn of_header(value: &Value<'_>) -> Option<FieldValue> {
    if value.is_map()
        && let Some(mapping) = value.mapping()
        && (mapping.has("prefix") || mapping.has("value"))
    {
        return prefixed(mapping);
    }
    let secret = header_text(value, secret::any_value)?;
    Some(FieldValue { prefix: String::new(), secret, is_fixed: !value.is_map() })
}

/// Reads `prefix` and `value`.
fn prefixed(mut mapping: Mapping<'_>) -> Option<FieldValue> {
    mapping.allow(PREFIXED);
    let prefix =
        mapping.required("prefix").and_then(|value| value.parse(|text| RequestPart::Header.prefix(text)));
    let secret = mapping.required("value").and_then(|value| header_text(&value, secret::read));
    mapping.reject_unknown_keys();
    Some(FieldValue { prefix: prefix?, secret: secret?, is_fixed: false })
}

/// Reads a value that can be sent in a header.
fn header_text(value: &Value<'_>, read: fn(&Value<'_>) -> Option<Secret>) -> Option<Secret> {
    let secret = read(value)?;
    if let Some(at) = secret.first_disallowed(|c| c == ' ' || c.is_ascii_graphic()) {
        value.error(format!(
            "the character at position {at} is not allowed in a header: visible ASCII and spaces"
        ));
        return None;
    }
    if secret.has_outer_whitespace() {
        value.error("begins or ends with a space, which is not part of a header's value");
        return None;
    }
    Some(secret)
}

fn of_query(value: &Value<'_>) -> Option<FieldValue> {
    let secret = secret::any_value(value)?;
    Some(FieldValue { prefix: String::new(), secret, is_fixed: !value.is_map() })
}

fn parameter(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("the name of a query parameter must not be empty or contain control characters".into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::credential::{
        ForwardedFields, OutboundBody, OutboundRequest, READERS, build, write_signed_head,
    };

    #[test]
    fn header_kind_owns_and_writes_all_fields_and_parameters() {
        let auth = "{ type: header, headers: { DD-API-KEY: a, DD-APPLICATION-KEY: b, anthropic-version: 2023-06-01, \
                    Authorization: { prefix: 'Bearer ', value: t } }, query: { 'api key': 'x&y', site: eu } }";
        let text = format!("services: {{ a: {{ upstream: 'https://a.example', auth: {auth} }} }}");
        let config = Config::parse(&text, "a.yaml", READERS).unwrap();
        let credential = build(&config.services[0].auth, "a", |_| None);
        let signer = credential.signer();
        let fields = [httparse::Header { name: "dd_api_key", value: b"evil" }];
        let request = OutboundRequest {
            method: "GET",
            origin: "https://a.example",
            authority: "a.example",
            base_path: "",
            path: "/x",
            query: Some(signer.owned().strip_query("q=1&site=us&api+key=evil")),
            fields: ForwardedFields::of(&fields, signer.owned()),
            body: OutboundBody::Empty,
            after: None,
            subject: None,
            may_probe: false,
        };
        let mut out = Vec::new();
        write_signed_head(&mut out, signer, &request, crate::credential::ConnectionFields::default())
            .unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "GET /x?q=1&api+key=x%26y&site=eu HTTP/1.1\r\nHost: a.example\r\nDD-API-KEY: a\r\nDD-APPLICATION-KEY: b\r\n\
             anthropic-version: 2023-06-01\r\nAuthorization: Bearer t\r\n\r\n"
        );
    }
}
