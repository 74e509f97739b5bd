//! `type: api_key`: a key in a header field, a query parameter or a cookie, after an optional prefix.

use form_urlencoded::Serializer;
use http::{HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use crate::config::auth::previous::previous_secret;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret;
use crate::config::reader::secret::SECRET;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::credential::{Build, Fixed, Kind, Rejection, Signer, sensitive, with_previous};
use crate::proto::FieldName;
use crate::secret::Secret;

/// The kind `api_key`.
pub struct ApiKey;

/// The settings of an API key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Where the key goes: `in` and `name`.
    pub location: KeyLocation,
    /// Written before the key (`prefix`), such as `Token `; may be empty.
    pub prefix: String,
    /// The key.
    pub value: Secret,
    /// The previous key of a rotation.
    pub previous: Option<Secret>,
}

/// The location of an API key in a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyLocation {
    /// A request header.
    Header(FieldName),
    /// A query parameter: its name without encoding, which is added when it is sent.
    Query(String),
    /// A cookie (a token by RFC 6265 §4.1.1).
    Cookie(String),
}

impl Kind for ApiKey {
    const NAME: &'static str = "api_key";
    const KEYS: Keys = &[
        Key::optional("in", Format::Words(&PLACES), "Where the key goes.").or("header"),
        Key::required("name", Format::Text, "Name of the header, query parameter or cookie."),
        Key::optional("prefix", Format::Text, "Text before the key, such as `Token `."),
        Key::required("value", SECRET, "The key."),
        Key::optional(
            "previous",
            SECRET,
            "The key before a rotation, used while the upstream rejects the new one.",
        ),
    ];
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        read(mapping)
    }

    fn has_previous(settings: &Settings) -> bool {
        settings.previous.is_some()
    }

    fn build(settings: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        let signer =
            |key: &Secret| signer(&settings.location, &settings.prefix, key).with_echoes([key.expose()]);
        with_previous(build, signer(&settings.value), settings.previous.as_ref().map(signer))
    }

    fn explain_401(settings: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        let is_authorization = matches!(&settings.location, KeyLocation::Header(name) if *name.name() == http::header::AUTHORIZATION);
        let needs_bearer = is_authorization && settings.prefix.is_empty() && rejection.has("Bearer");
        let bearer = "The upstream asks for Bearer, and this service sends the bare key in Authorization: use `type: bearer`.";
        let bearer = Some(bearer.to_owned()).filter(|_| needs_bearer);
        let keys = match settings.location {
            KeyLocation::Header(_) => "`in`, `name` and `prefix`",
            KeyLocation::Query(_) | KeyLocation::Cookie(_) => "`in` and `name`",
        };
        let others = [
            format!("Does the API expect the key where it is sent? Compare {keys} with its documentation."),
            "The key may have been revoked, or be one for another environment.".to_owned(),
        ];
        bearer.into_iter().chain(others).collect()
    }
}

#[derive(Clone, Copy)]
enum In {
    Header,
    Query,
    Cookie,
}

const PLACES: [(&str, In); 3] = [("header", In::Header), ("query", In::Query), ("cookie", In::Cookie)];

/// The headers that frame the message, route it, or belong to one connection. A key in one of them would
/// break the request or change its meaning for the next server.
const RESERVED_HEADERS: [&str; 12] = [
    "host",
    "content-length",
    "content-encoding",
    "content-type",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "http2-settings",
];

fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
    let place = match mapping.optional("in") {
        None => Some(In::Header),
        Some(value) => value.one_of(&PLACES),
    };
    let name = mapping.required("name");
    let prefix = mapping.optional("prefix");
    let key = mapping.required("value");
    let previous = mapping.optional("previous");
    let place = place?;
    let location = name.and_then(|value| location(&value, place));
    let prefix = match prefix {
        None => Some(String::new()),
        Some(value) => value.parse(|text| self::prefix(text, place)),
    };
    let key = key.and_then(|value| self::key(&value, place));
    let previous = previous.map(|value| (self::key(&value, place), value));
    let key = key?;
    let previous = previous_secret(previous, Some(&key), "value");
    Some(Settings { location: location?, prefix: prefix?, value: key, previous })
}

fn location(value: &Value<'_>, place: In) -> Option<KeyLocation> {
    value.parse(|text| match place {
        In::Header => header_name(text).map(KeyLocation::Header),
        In::Query if text.is_empty() || text.chars().any(char::is_control) => {
            Err("the name of a query parameter must not be empty or contain control characters".into())
        }
        In::Query => Ok(KeyLocation::Query(text.to_owned())),
        // A cookie name and a header name are both a token (RFC 9110 §5.6.2), but case counts in a cookie's.
        In::Cookie if HeaderName::try_from(text).is_err() => {
            Err("not a valid cookie name: letters, digits and `-_.` (RFC 6265 §4.1.1)".into())
        }
        In::Cookie => Ok(KeyLocation::Cookie(text.to_owned())),
    })
}

/// Parses the name of a header field that a credential may use.
pub(super) fn header_name(text: &str) -> Result<FieldName, String> {
    let Ok(field) = FieldName::try_from(text) else {
        return Err("not a valid header name: letters, digits and `-`; example: X-Api-Key".into());
    };
    let name = field.name();
    if name == header::COOKIE {
        return Err("use `in: cookie` with the name of the cookie".into());
    }
    if RESERVED_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("proxy-") {
        return Err("this header is part of the request itself and cannot carry a key".into());
    }
    Ok(field)
}

/// Parses the text before a secret in a header field.
pub(super) fn header_prefix(text: &str) -> Result<String, String> {
    prefix(text, In::Header)
}

fn prefix(text: &str, place: In) -> Result<String, String> {
    let (allowed, _) = characters(place);
    if !text.chars().all(allowed) {
        return Err("contains a character that is not allowed there".into());
    }
    if matches!(place, In::Header) && text.starts_with(' ') {
        return Err("starts with a space, which is not part of a header's value".into());
    }
    Ok(text.to_owned())
}

fn key(value: &Value<'_>, place: In) -> Option<crate::secret::Secret> {
    let (allowed, name) = characters(place);
    let key = secret::read_of(value, allowed, name)?;
    if matches!(place, In::Header) && key.has_outer_whitespace() {
        value.error("the key starts or ends with a space, which is not part of a header's value");
        return None;
    }
    Some(key)
}

/// The characters that a key may have in a location, and the description of the location in messages.
fn characters(place: In) -> (fn(char) -> bool, &'static str) {
    match place {
        In::Header => (|c| c == ' ' || c.is_ascii_graphic(), "a header: visible ASCII and spaces"),
        In::Query => (|c| !c.is_control(), "a query"),
        // cookie-octet, RFC 6265 §4.1.1
        In::Cookie => (
            |c| c.is_ascii_graphic() && !matches!(c, '"' | ',' | ';' | '\\'),
            "a cookie: visible ASCII without spaces, quotes, `,`, `;` and backslash",
        ),
    }
}

/// The signer that sends the key at its location.
fn signer(location: &KeyLocation, prefix: &str, key: &Secret) -> Fixed {
    let value = value(location, prefix, key);
    match location {
        KeyLocation::Header(name) => Fixed::fields([(name.clone(), value)]),
        KeyLocation::Query(name) => Fixed::fields([]).with_query([name.clone()], value),
        KeyLocation::Cookie(name) => Fixed::fields([]).with_cookie(name.clone(), value),
    }
}

/// The value of the field, or `name=value` for a query or a cookie.
fn value(location: &KeyLocation, prefix: &str, key: &Secret) -> HeaderValue {
    let key = Zeroizing::new(format!("{prefix}{}", key.expose()));
    match location {
        KeyLocation::Header(_) => sensitive(&key),
        KeyLocation::Query(name) => {
            sensitive(&Zeroizing::new(Serializer::new(String::new()).append_pair(name, &key).finish()))
        }
        KeyLocation::Cookie(name) => sensitive(&Zeroizing::new(format!("{name}={}", &*key))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_name_rejects_reserved_headers() {
        assert_eq!(header_name("X-API-Key").unwrap().as_written(), "X-API-Key");
        assert_eq!(header_name("Authorization").unwrap().name(), header::AUTHORIZATION);
        for name in [
            "Host",
            "content-length",
            "TE",
            "Proxy-Authorization",
            "Cookie",
            "",
            "X Key",
            "X:Key",
            ":path",
            "é",
        ] {
            assert!(header_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn prefix_allows_characters_of_its_location() {
        assert_eq!(prefix("Token ", In::Header), Ok("Token ".into()));
        assert!(prefix(" Token", In::Header).is_err());
        assert!(prefix("a\n", In::Header).is_err());
        assert!(prefix("a b", In::Cookie).is_err());
        assert!(prefix("é", In::Query).is_ok());
    }

    fn written(location: &KeyLocation, prefix: &str) -> String {
        let value = value(location, prefix, &Secret::new("k&y=1 ü".into()).unwrap());
        assert!(value.is_sensitive());
        String::from_utf8(value.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn value_is_encoded_for_its_location() {
        let header = |name| KeyLocation::Header(header_name(name).unwrap());
        assert_eq!(written(&header("x-api-key"), ""), "k&y=1 ü");
        assert_eq!(written(&header("Authorization"), "Token "), "Token k&y=1 ü");
        assert_eq!(written(&KeyLocation::Query("api key".into()), ""), "api+key=k%26y%3D1+%C3%BC");
        assert_eq!(written(&KeyLocation::Cookie("sid".into()), "v1."), "sid=v1.k&y=1 ü");
    }
}
