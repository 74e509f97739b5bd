//! Header fields that a signature covers (RFC 9421 §2.1): which may be, and in which form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sfv::{BareItem, Parameters, Parser, SerializeValue};

use crate::credential::Unsignable;
use crate::proto::fields::HeaderClass;

/// The form of a field in the text that is signed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// Its lines, joined by commas.
    Plain,
    /// `sf`: serialized strictly.
    Strict(Structure),
    /// `bs`: each line as bytes.
    Bytes,
    /// `key`: one member of a dictionary.
    Member(String),
}

/// The type of a structured field (RFC 9651 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Structure {
    Dictionary,
    List,
    Item,
}

/// Structured fields of requests in IANA's registry of fields, which says their type.
const STRUCTURED: [(&str, Structure); 10] = [
    ("content-digest", Structure::Dictionary),
    ("repr-digest", Structure::Dictionary),
    ("want-content-digest", Structure::Dictionary),
    ("want-repr-digest", Structure::Dictionary),
    ("priority", Structure::Dictionary),
    ("accept-signature", Structure::Dictionary),
    ("cdn-loop", Structure::List),
    ("client-cert", Structure::Item),
    ("client-cert-chain", Structure::List),
    ("capsule-protocol", Structure::Item),
];

/// Fields that Sidekey writes, or that may change on the way, with what to do.
const UNSIGNABLE: [(&str, &str); 7] = [
    ("max-forwards", CHANGED),
    ("via", CHANGED),
    ("expect", CHANGED),
    ("trailer", CHANGED),
    ("accept-encoding", CHANGED),
    ("signature", OWN),
    ("signature-input", OWN),
];

const CHANGED: &str = "Sidekey, or a proxy behind it, may write this field itself, so it cannot be signed";
const OWN: &str = "the field of the signature itself";

const NOT_TEXT: &str = "The signature of the service covers a header field that has bytes beyond ASCII in this request, which have no \
     signature (RFC 9421 §2.1); nothing was forwarded.";
const NOT_STRUCTURED: &str = "The signature of the service covers a structured header field that is malformed in this request; nothing \
     was forwarded.";

/// Checks that a field reaches the upstream as it is signed.
pub(super) fn check(name: &str) -> Result<(), String> {
    if let Some((_, why)) = UNSIGNABLE.iter().find(|(unsignable, _)| *unsignable == name) {
        return Err((*why).into());
    }
    match HeaderClass::of(name) {
        HeaderClass::Host => Err("write `@authority`, which HTTP/2 has as well".into()),
        HeaderClass::Cookie => {
            Err("cookies may be sent in one field or in several, so they cannot be signed".into())
        }
        HeaderClass::Connection
        | HeaderClass::HopByHop
        | HeaderClass::SidekeyError
        | HeaderClass::Te
        | HeaderClass::Traceparent
        | HeaderClass::Tracestate
        | HeaderClass::Trailer
        | HeaderClass::TransferEncoding
        | HeaderClass::Upgrade => Err(CHANGED.into()),
        HeaderClass::EndToEnd
        | HeaderClass::Authorization
        | HeaderClass::ContentLength
        | HeaderClass::Destination
        | HeaderClass::If
        | HeaderClass::Link
        | HeaderClass::Location
        | HeaderClass::Refresh
        | HeaderClass::UrlValue => Ok(()),
    }
}

impl Form {
    /// The form that the parameters of a component ask for.
    pub(super) fn of(name: &str, parameters: &Parameters) -> Result<Self, String> {
        let known = ["sf", "bs", "key"];
        if let Some(unknown) = parameters.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(format!("unknown parameter `{unknown}`; allowed: `sf`, `bs` and `key=\"…\"`"));
        }
        let is_set = |key| match parameters.get(key) {
            None => Ok(false),
            Some(BareItem::Boolean(true)) => Ok(true),
            Some(_) => Err(format!("`{key}` has no value")),
        };
        match (is_set("sf")?, is_set("bs")?, parameters.get("key")) {
            (false, false, None) => Ok(Self::Plain),
            (false, true, None) => Ok(Self::Bytes),
            // A member is always serialized strictly.
            (_, false, Some(BareItem::String(key))) => Ok(Self::Member(key.clone())),
            (_, false, Some(_)) => Err("`key` is a text in quotes".into()),
            (true, false, None) => {
                let structure = STRUCTURED.iter().find(|(known, _)| *known == name);
                let structure = structure.map(|(_, structure)| Self::Strict(*structure));
                structure.ok_or_else(|| {
                    "the type of this field is not known here, so it cannot be serialized; leave `sf` out, or name a member \
                     of a dictionary with `key`"
                        .into()
                })
            }
            (_, true, _) => Err("`bs` goes with no other parameter".into()),
        }
    }

    /// The value of a field with these lines, of which there is at least one; `None` if a dictionary does not have the member.
    pub(super) fn value(&self, lines: &[&[u8]]) -> Result<Option<String>, Unsignable> {
        if *self == Self::Bytes {
            let lines: Vec<_> = lines.iter().map(|line| format!(":{}:", STANDARD.encode(line))).collect();
            return Ok(Some(lines.join(", ")));
        }
        let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
        if !lines.iter().all(|line| line.iter().all(is_text)) {
            return Err(Unsignable::Refused(NOT_TEXT));
        }
        let lines: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        let text = lines.join(", ");
        let structured = |value: Result<String, &'static str>| {
            value.map(Some).map_err(|_| Unsignable::Refused(NOT_STRUCTURED))
        };
        match self {
            Self::Plain | Self::Bytes => Ok(Some(text)),
            Self::Strict(Structure::Dictionary) => structured(
                Parser::parse_dictionary(text.as_bytes()).and_then(|value| value.serialize_value()),
            ),
            Self::Strict(Structure::List) => {
                structured(Parser::parse_list(text.as_bytes()).and_then(|value| value.serialize_value()))
            }
            Self::Strict(Structure::Item) => {
                structured(Parser::parse_item(text.as_bytes()).and_then(|value| value.serialize_value()))
            }
            Self::Member(key) => {
                let dictionary = Parser::parse_dictionary(text.as_bytes());
                let mut dictionary = dictionary.map_err(|_| Unsignable::Refused(NOT_STRUCTURED))?;
                let Some(member) = dictionary.swap_remove(key) else { return Ok(None) };
                structured(vec![member].serialize_value())
            }
        }
    }
}
