//! `type: bearer`: a token from the configuration (RFC 6750 §2.1).

use http::HeaderValue;
use zeroize::Zeroizing;

use crate::config::auth::previous::previous_secret;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret;
use crate::config::reader::secret::SECRET;
use crate::config::reader::table::{Key, Keys};
use crate::config::reader::value::Value;
use crate::credential::{Build, Fixed, Kind, Owned, Rejection, Signer, sensitive, with_previous};
use crate::secret::Secret;

/// The kind `bearer`.
pub struct Bearer;

/// The settings of a bearer token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The token without the scheme: Sidekey writes `Bearer ` itself.
    pub token: Secret,
    /// The previous token of a rotation.
    pub previous: Option<Secret>,
}

impl Kind for Bearer {
    const NAME: &'static str = "bearer";
    const KEYS: Keys = &[
        Key::required("token", SECRET, "The bare token; Sidekey writes `Bearer ` itself (RFC 6750)."),
        Key::optional(
            "previous",
            SECRET,
            "The token before a rotation, used while the upstream rejects the new one.",
        ),
    ];
    const IS_FIXED: bool = true;
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        let token = mapping.required("token").and_then(|value| bearer_token(&value));
        let previous = mapping.optional("previous").map(|value| (bearer_token(&value), value));
        let token = token?;
        let previous = previous_secret(previous, Some(&token), "token");
        Some(Settings { token, previous })
    }

    fn has_previous(settings: &Settings) -> bool {
        settings.previous.is_some()
    }

    fn owned(_: &Settings) -> Owned {
        Owned::authorization()
    }

    fn build(settings: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        let signer = |token: &Secret| Fixed::authorization(value(token)).with_echoes([token.expose()]);
        with_previous(build, signer(&settings.token), settings.previous.as_ref().map(signer))
    }

    fn explain_401(_: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        let scheme = rejection.of_scheme("Bearer");
        let others = [
            "The token may have expired or been revoked, or be for another environment.",
            "Some APIs require it as `api_key` in another header, or with another word than `Bearer`.",
        ];
        scheme.into_iter().chain(others.map(str::to_owned)).collect()
    }
}

fn bearer_token(value: &Value<'_>) -> Option<Secret> {
    let token = secret::read(value)?;
    if token.starts_with_ignore_case("Bearer ") {
        value.error("the token starts with `Bearer `, which Sidekey adds itself; remove it");
        return None;
    }
    if let Some(at) = token.first_disallowed(|c| c.is_ascii_graphic()) {
        value.error(format!(
            "the character at position {at} of the token is not allowed in a header: \
             visible ASCII without spaces"
        ));
        return None;
    }
    Some(token)
}

/// The value of `Authorization`.
fn value(token: &Secret) -> HeaderValue {
    sensitive(&Zeroizing::new(format!("Bearer {}", token.expose())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_has_the_bearer_scheme() {
        let value = value(&Secret::new("mF_9.B5f-4.1JqM".into()).unwrap());
        assert_eq!(value, "Bearer mF_9.B5f-4.1JqM");
        assert!(value.is_sensitive());
    }
}
