//! `type: basic`: user name and password (RFC 7617, in UTF-8).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::Keys;
use crate::config::{PASSWORD, PREVIOUS_PASSWORD, RotatedLogin, USERNAME, Username, rotated_login};
use crate::credential::{Build, Fixed, Kind, Owned, Rejection, Signer, sensitive, with_previous};
use crate::secret::Secret;

/// The kind `basic`.
pub struct Basic;

/// The settings of basic authentication.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The user name.
    pub username: Username,
    /// The password; `None` if it is configured as `""`.
    pub password: Option<Secret>,
    /// The previous password of a rotation.
    pub previous: Option<Secret>,
}

impl Kind for Basic {
    const NAME: &'static str = "basic";
    const KEYS: Keys = &[USERNAME.and_required(), PASSWORD.and_required(), PREVIOUS_PASSWORD];
    const IS_FIXED: bool = true;
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        let RotatedLogin { username, password, previous } = rotated_login(mapping)?;
        Some(Settings { username, password, previous })
    }

    fn has_previous(settings: &Settings) -> bool {
        settings.previous.is_some()
    }

    fn owned(_: &Settings) -> Owned {
        Owned::authorization()
    }

    fn build(settings: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        let signer = |password: Option<&Secret>| {
            let value = value(&settings.username, password);
            let pair = Zeroizing::new(value.to_str().unwrap_or_default().replace("Basic ", ""));
            let username = match &settings.username {
                Username::Text(_) => None,
                Username::Secret(secret) => Some(secret.expose()),
            };
            let secrets = [Some(pair.as_str()), password.map(Secret::expose), username].into_iter().flatten();
            Fixed::authorization(value).with_echoes(secrets)
        };
        let previous = settings.previous.as_ref().map(|previous| signer(Some(previous)));
        with_previous(build, signer(settings.password.as_ref()), previous)
    }

    fn explain_401(_: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        let scheme = rejection.of_scheme("Basic");
        let values =
            "Are `username` and `password` right, and for this environment (test or live)?".to_owned();
        scheme.into_iter().chain([values]).collect()
    }
}

/// The value of `Authorization`.
pub(in crate::credential) fn value(username: &Username, password: Option<&Secret>) -> HeaderValue {
    let username = match username {
        Username::Text(text) => text,
        Username::Secret(secret) => secret.expose(),
    };
    let pair = Zeroizing::new(format!("{username}:{}", password.map_or("", Secret::expose)));
    sensitive(&Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_matches_the_examples_of_rfc_7617() {
        let secret = |text: &str| Secret::new(text.into()).unwrap();
        let name = |text: &str| Username::Text(text.into());
        let value = |name, password: &str| value(&name, Some(&secret(password)));
        assert_eq!(value(name("Aladdin"), "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(value(name("test"), "123£"), "Basic dGVzdDoxMjPCow==");
        assert_eq!(super::value(&Username::Secret(secret("key")), None), "Basic a2V5Og==");
        assert!(value(name("a"), "b").is_sensitive());
    }
}
