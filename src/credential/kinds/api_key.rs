//! `type: api_key`: a key in a header field, a query parameter or a cookie, after an optional prefix.

use crate::config::auth::placement::{IN, Placement, RequestPart};
use crate::config::auth::previous::previous_secret;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret;
use crate::config::reader::secret::SECRET;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::credential::{Build, Fixed, Kind, Owned, Rejection, Signer, with_previous};
use crate::secret::Secret;

/// The kind `api_key`.
pub struct ApiKey;

/// The settings of an API key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Where the key goes: `in`, `name` and `prefix`.
    pub placement: Placement,
    /// The key.
    pub value: Secret,
    /// The previous key of a rotation.
    pub previous: Option<Secret>,
}

impl Kind for ApiKey {
    const NAME: &'static str = "api_key";
    const KEYS: Keys = &[
        IN,
        Key::required("name", Format::Text, "Name of the header, query parameter or cookie."),
        Key::optional("prefix", Format::Text, "Text before the key, such as `Token `."),
        Key::required("value", SECRET, "The key."),
        Key::optional(
            "previous",
            SECRET,
            "The key before a rotation, used while the upstream rejects the new one.",
        ),
    ];
    const IS_FIXED: bool = true;
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        read(mapping)
    }

    fn has_previous(settings: &Settings) -> bool {
        settings.previous.is_some()
    }

    fn owned(settings: &Settings) -> Owned {
        Owned::at(&settings.placement)
    }

    fn build(settings: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        let signer = |key: &Secret| signer(&settings.placement, key);
        with_previous(build, signer(&settings.value), settings.previous.as_ref().map(signer))
    }

    fn explain_401(settings: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        let Placement { part, prefix, .. } = &settings.placement;
        let is_bare = settings.placement.is_authorization() && prefix.is_empty();
        let needs_bearer = is_bare && rejection.has("Bearer");
        let bearer = "The upstream asks for Bearer, and this service sends the bare key in Authorization: use `type: bearer`.";
        let bearer = Some(bearer.to_owned()).filter(|_| needs_bearer);
        let keys = match part {
            RequestPart::Header => "`in`, `name` and `prefix`",
            RequestPart::Query | RequestPart::Cookie => "`in` and `name`",
        };
        let others = [
            format!("Does the API expect the key where it is sent? Compare {keys} with its documentation."),
            "The key may have been revoked, or be one for another environment.".to_owned(),
        ];
        bearer.into_iter().chain(others).collect()
    }
}

fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
    let placement = Placement::read(mapping);
    let key = mapping.required("value");
    let previous = mapping.optional("previous");
    let placement = placement?;
    let key = key.and_then(|value| self::key(&value, placement.part));
    let previous = previous.map(|value| (self::key(&value, placement.part), value));
    let key = key?;
    let previous = previous_secret(previous, Some(&key), "value");
    Some(Settings { placement, value: key, previous })
}

fn key(value: &Value<'_>, part: RequestPart) -> Option<Secret> {
    let (allowed, name) = part.characters();
    let key = secret::read_of(value, allowed, name)?;
    if part == RequestPart::Header && key.has_outer_whitespace() {
        value.error("the key starts or ends with a space, which is not part of a header's value");
        return None;
    }
    Some(key)
}

/// The signer that sends the key at its place.
fn signer(placement: &Placement, key: &Secret) -> Fixed {
    let value = placement.value(key.expose()).expect("a key is read with the characters of its place");
    Fixed::placed(placement, value).with_echoes([key.expose()])
}
