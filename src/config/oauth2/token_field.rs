//! `token.field`: which member of a token response is the token.

use serde_json::{Map, Value};

use crate::config::auth::placement::{IN, Placement};
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};

/// Longest text, in bytes.
const MAX_LENGTH: usize = 256;
/// How deep the member may be.
const MAX_DEPTH: usize = 8;

/// The format of `token` of a credential whose token is a member of a response.
pub(super) const TOKEN: Format = Format::Keys(&[KEYS]);

const KEYS: Keys = &[
    Key::optional(
        "field",
        Format::Text,
        "The member of the response that is the token: a name, or a JSON pointer. Default: `access_token`.",
    ),
    IN,
    Key::depends("name", Format::Text, "Name of the header, query parameter or cookie."),
    Key::optional("prefix", Format::Text, "Text before the token, such as `Bearer `."),
];

/// Reads the key `token`: the member that is the token, and where the token goes. Without a place it is a bearer token.
pub(super) fn read(mapping: &mut Mapping<'_>) -> Option<(Option<TokenField>, Placement)> {
    let Some(value) = mapping.optional("token") else { return Some((None, Placement::bearer())) };
    let mut mapping = value.mapping()?;
    let field = mapping.optional("field").map(|value| value.parse(TokenField::parse));
    let is_placed = field.is_none() || Placement::is_in(&mapping);
    let placement = if is_placed { Placement::read(&mut mapping) } else { Some(Placement::bearer()) };
    mapping.reject_unknown_keys();
    let field = match field {
        None => None,
        Some(field) => Some(field?),
    };
    Some((field, placement?))
}

/// The member of a token response that is the token: a name, or a JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenField {
    text: String,
    /// The steps from the document to the member; one at least.
    steps: Vec<String>,
}

impl TokenField {
    /// Parses a name or a JSON pointer.
    ///
    /// # Errors
    ///
    /// Why the text is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH || text.chars().any(char::is_control) {
            return Err(format!(
                "a name or a JSON pointer has at most {MAX_LENGTH} bytes and no control characters"
            ));
        }
        let steps = match text.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(step).collect::<Result<Vec<_>, _>>()?,
            None => vec![text.to_owned()],
        };
        if steps.iter().any(String::is_empty) {
            return Err("a name of a member is empty; example: `id_token`, or `/data/token`".into());
        }
        if steps.len() > MAX_DEPTH {
            return Err(format!("a JSON pointer has at most {MAX_DEPTH} steps"));
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// The text of the configuration.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is the member that RFC 6749 §5.1 has for the token, which `token_type` is about.
    pub fn is_access_token(&self) -> bool {
        self.steps == ["access_token"]
    }

    /// The member of a response, and the objects around it, from the inside out. There is no other place in which it is looked for.
    pub fn find<'m>(
        &self,
        members: &'m Map<String, Value>,
    ) -> Option<(&'m Value, Vec<&'m Map<String, Value>>)> {
        let (first, rest) = self.steps.split_first()?;
        let (mut value, mut around) = (members.get(first)?, vec![members]);
        for step in rest {
            match value {
                Value::Object(object) => {
                    around.insert(0, object);
                    value = object.get(step)?;
                }
                Value::Array(items) => value = items.get(index(step)?)?,
                _ => return None,
            }
        }
        Some((value, around))
    }
}

/// One step of a pointer: `~1` is a slash and `~0` a tilde (RFC 6901 §4).
fn step(text: &str) -> Result<String, String> {
    let plain = text.replace("~1", "").replace("~0", "");
    if plain.contains('~') {
        return Err("in a JSON pointer `~` is written `~0`, and `/` in a name `~1` (RFC 6901)".into());
    }
    Ok(text.replace("~1", "/").replace("~0", "~"))
}

/// The index of an item, without leading zeros (RFC 6901 §4).
fn index(step: &str) -> Option<usize> {
    let is_index = step == "0" || !step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit());
    if is_index { step.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn found(field: &str, answer: &Value) -> Option<Value> {
        let (value, _) = TokenField::parse(field).unwrap().find(answer.as_object().unwrap())?;
        Some(value.clone())
    }

    #[test]
    fn field_is_a_name_or_a_pointer() {
        let answer = json!({
            "id_token": "a", "a/b": "c", "m~n": "d", "/data": "e", "01": "f",
            "data": { "token": "b", "tokens": ["x", { "value": "y" }] },
        });
        for (field, expected) in [
            ("id_token", "a"),
            ("/id_token", "a"),
            ("a/b", "c"),
            ("/a~1b", "c"),
            ("/m~0n", "d"),
            ("/~1data", "e"),
            ("01", "f"),
            ("/data/token", "b"),
            ("/data/tokens/0", "x"),
            ("/data/tokens/1/value", "y"),
        ] {
            assert_eq!(found(field, &answer), Some(expected.into()), "{field}");
        }
        for field in [
            "token",
            "ID_TOKEN",
            "data/token",
            "/data/tokens/01",
            "/data/tokens/2",
            "/data/tokens/-",
            "/id_token/0",
        ] {
            assert_eq!(found(field, &answer), None, "{field}");
        }
    }

    #[test]
    fn field_is_bounded() {
        let deep = "/a".repeat(MAX_DEPTH);
        assert!(TokenField::parse(&deep).is_ok());
        for text in
            ["", "/", "/a/", "//a", "/a~", "/a~2", "a\n", &format!("{deep}/a"), &"a".repeat(MAX_LENGTH + 1)]
        {
            assert!(TokenField::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn objects_around_a_field_are_listed_from_the_inside_out() {
        let answer =
            json!({ "at": "top", "data": { "at": "data", "tokens": [{ "at": "token", "value": "x" }] } });
        let field = TokenField::parse("/data/tokens/0/value").unwrap();
        let (_, around) = field.find(answer.as_object().unwrap()).unwrap();
        assert_eq!(around.iter().map(|object| &object["at"]).collect::<Vec<_>>(), ["token", "data", "top"]);
    }
}
