//! Where a credential goes in a request: a header field, a query parameter or a cookie, after an optional prefix.

use form_urlencoded::Serializer;
use http::{HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};

/// A place in a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Placement {
    /// `in`
    pub part: RequestPart,
    /// The name of the header field as it is written in HTTP/1.1, of the query parameter without encoding, or of the cookie.
    pub name: String,
    /// Text before the credential, such as `Token `; may be empty.
    pub prefix: String,
}

/// A part of a request that can carry a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestPart {
    /// A header field.
    Header,
    /// A query parameter.
    Query,
    /// A cookie (its name is a token by RFC 6265 §4.1.1).
    Cookie,
}

/// The key `in`.
pub const IN: Key = Key::optional("in", Format::Words(&PARTS), "Where it goes.").or("header");

const PARTS: [(&str, RequestPart); 3] =
    [("header", RequestPart::Header), ("query", RequestPart::Query), ("cookie", RequestPart::Cookie)];

/// The format of `token`.
pub(crate) const TOKEN: Format = Format::Keys(&[TOKEN_KEYS]);

const TOKEN_KEYS: Keys = &[
    IN,
    Key::required("name", Format::Text, "Name of the header, query parameter or cookie."),
    Key::optional("prefix", Format::Text, "Text before the token, such as `Bearer `."),
];

/// The headers that frame the message, route it, or belong to one connection. A credential in one of them would
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

impl Placement {
    /// A bearer token in `Authorization` (RFC 6750 §2.1).
    pub fn bearer() -> Self {
        Self { part: RequestPart::Header, name: "Authorization".into(), prefix: "Bearer ".into() }
    }

    /// Whether a mapping says where a credential goes.
    pub fn is_in(mapping: &Mapping<'_>) -> bool {
        TOKEN_KEYS.iter().any(|key| mapping.has(key.name))
    }

    /// Reads the key `token` of a credential that sends tokens. Without it, the token is a bearer token.
    pub fn of_token(mapping: &mut Mapping<'_>) -> Option<Self> {
        let Some(value) = mapping.optional("token") else { return Some(Self::bearer()) };
        let mut mapping = value.mapping()?;
        let placement = Self::read(&mut mapping);
        mapping.reject_unknown_keys();
        placement
    }

    /// Reads `in`, `name` and `prefix`.
    pub fn read(mapping: &mut Mapping<'_>) -> Option<Self> {
        let part = match mapping.optional("in") {
            None => Some(RequestPart::Header),
            Some(value) => value.one_of(&PARTS),
        };
        let name = mapping.required("name");
        let prefix = mapping.optional("prefix");
        let part = part?;
        let name = name.and_then(|value| value.parse(|text| part.name(text)));
        let prefix = match prefix {
            None => Some(String::new()),
            Some(value) => value.parse(|text| part.prefix(text)),
        };
        Some(Self { part, name: name?, prefix: prefix? })
    }

    /// The value of the field, or `name=value` for a query or a cookie; marked sensitive. `None` if the credential has characters
    /// that cannot stand there.
    pub fn value(&self, credential: &str) -> Option<HeaderValue> {
        if !credential.chars().all(self.part.characters().0) {
            return None;
        }
        let text = Zeroizing::new(format!("{}{credential}", self.prefix));
        let value = match self.part {
            RequestPart::Header => HeaderValue::from_bytes(text.as_bytes()),
            RequestPart::Query => {
                let pair =
                    Zeroizing::new(Serializer::new(String::new()).append_pair(&self.name, &text).finish());
                HeaderValue::from_bytes(pair.as_bytes())
            }
            RequestPart::Cookie => {
                HeaderValue::from_bytes(Zeroizing::new(format!("{}={}", self.name, *text)).as_bytes())
            }
        };
        let mut value = value.ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The authentication scheme (RFC 9110 §11.1), if the credential follows one.
    pub fn scheme(&self) -> Option<&str> {
        self.prefix.strip_suffix(' ').filter(|_| self.is_authorization())
    }

    /// Whether it is `Authorization`.
    pub fn is_authorization(&self) -> bool {
        self.part == RequestPart::Header && self.name.eq_ignore_ascii_case(header::AUTHORIZATION.as_str())
    }
}

impl RequestPart {
    /// The characters that a credential may have there, and the description of the part in messages.
    pub fn characters(self) -> (fn(char) -> bool, &'static str) {
        match self {
            Self::Header => (|c| c == ' ' || c.is_ascii_graphic(), "a header: visible ASCII and spaces"),
            Self::Query => (|c| !c.is_control(), "a query"),
            // cookie-octet, RFC 6265 §4.1.1
            Self::Cookie => (
                |c| c.is_ascii_graphic() && !matches!(c, '"' | ',' | ';' | '\\'),
                "a cookie: visible ASCII without spaces, quotes, `,`, `;` and backslash",
            ),
        }
    }

    fn name(self, text: &str) -> Result<String, String> {
        match self {
            Self::Header => check_header_name(text).map(|()| text.to_owned()),
            Self::Query if text.is_empty() || text.chars().any(char::is_control) => {
                Err("the name of a query parameter must not be empty or contain control characters".into())
            }
            // A cookie name and a header name are both a token (RFC 9110 §5.6.2), but case counts in a cookie's.
            Self::Cookie if HeaderName::try_from(text).is_err() => {
                Err("not a valid cookie name: letters, digits and `-_.` (RFC 6265 §4.1.1)".into())
            }
            Self::Query | Self::Cookie => Ok(text.to_owned()),
        }
    }

    /// Parses the text before a credential.
    pub fn prefix(self, text: &str) -> Result<String, String> {
        let (allowed, _) = self.characters();
        if !text.chars().all(allowed) {
            return Err("contains a character that is not allowed there".into());
        }
        if self == Self::Header && text.starts_with(' ') {
            return Err("starts with a space, which is not part of a header's value".into());
        }
        Ok(text.to_owned())
    }
}

/// Checks the name of a header field that a credential may use.
pub fn check_header_name(text: &str) -> Result<(), String> {
    let Ok(name) = HeaderName::try_from(text) else {
        return Err("not a valid header name: letters, digits and `-`; example: X-Api-Key".into());
    };
    if name == header::COOKIE {
        return Err("use `in: cookie` with the name of the cookie".into());
    }
    if RESERVED_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("proxy-") {
        return Err("this header is part of the request itself and cannot carry a key".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn header_name_rejects_reserved_headers() {
        for name in ["X-API-Key", "Authorization"] {
            assert_eq!(check_header_name(name), Ok(()), "{name}");
        }
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
            assert!(check_header_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn prefix_allows_characters_of_its_part() {
        assert_eq!(RequestPart::Header.prefix("Token "), Ok("Token ".into()));
        assert!(RequestPart::Header.prefix(" Token").is_err());
        assert!(RequestPart::Header.prefix("a\n").is_err());
        assert!(RequestPart::Cookie.prefix("a b").is_err());
        assert!(RequestPart::Query.prefix("é").is_ok());
    }

    fn written(part: RequestPart, name: &str, prefix: &str, credential: &str) -> Option<String> {
        let placement = Placement { part, name: name.into(), prefix: prefix.into() };
        let value = placement.value(credential)?;
        assert!(value.is_sensitive());
        Some(String::from_utf8(value.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn value_is_encoded_for_its_part() {
        let written = |part, name, prefix, text| written(part, name, prefix, text).unwrap();
        assert_eq!(written(RequestPart::Header, "x-api-key", "", "k&y=1 u"), "k&y=1 u");
        assert_eq!(written(RequestPart::Header, "Authorization", "Token ", "k"), "Token k");
        assert_eq!(written(RequestPart::Query, "api key", "", "k&y=1 ü"), "api+key=k%26y%3D1+%C3%BC");
        assert_eq!(written(RequestPart::Cookie, "sid", "v1.", "k&y=1"), "sid=v1.k&y=1");
    }

    #[test]
    fn credential_that_would_break_its_part_has_no_value() {
        for (part, credential) in [
            (RequestPart::Header, "a\r\nX: y"),
            (RequestPart::Header, "é"),
            (RequestPart::Cookie, "a; b=c"),
            (RequestPart::Query, "a\0"),
        ] {
            assert_eq!(written(part, "n", "", credential), None, "{credential:?}");
        }
    }

    #[test]
    fn scheme_is_that_of_authorization_only() {
        assert_eq!(Placement::bearer().scheme(), Some("Bearer"));
        let other = Placement { name: "X-Token".into(), ..Placement::bearer() };
        assert_eq!(other.scheme(), None);
    }
}
