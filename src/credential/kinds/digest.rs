//! `type: digest`: user name and password that answer a challenge of the upstream (RFC 7616). The password is not sent.

mod answer;
mod challenge;
mod hash;
mod learnt;
mod signer;

use std::sync::Arc;

use answer::User;
use challenge::Policy;
use hash::HASHES;
use signer::{DigestSigner, Shared};

use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::{
    PASSWORD, PREVIOUS_PASSWORD, RotatedLogin, USERNAME, Username, read_text, rotated_login,
};
use crate::credential::{Build, Kind, Owned, Rejection, Signer, with_previous};
use crate::secret::Secret;

/// The kind `digest`.
pub struct Digest;

/// The settings of Digest authentication.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The user name.
    username: Username,
    /// The password; `None` if it is configured as `""`.
    password: Option<Secret>,
    /// The previous password of a rotation.
    previous: Option<Secret>,
    /// What is accepted of the upstream.
    policy: Policy,
}

impl Kind for Digest {
    const NAME: &'static str = "digest";
    const KEYS: Keys = &[
        USERNAME.and_required(),
        PASSWORD.and_required(),
        PREVIOUS_PASSWORD,
        Key::optional(
            "realm",
            Format::Text,
            "The one realm whose challenges are answered. Default: each of the upstream's.",
        ),
        Key::optional(
            "algorithms",
            Format::Distinct(&Format::Words(&HASHES)),
            "The hash functions that may be used; the strongest that the upstream offers is. Default: all of them.",
        ),
    ];
    const SIGNS: bool = true;
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        let login = rotated_login(mapping);
        let realm = read_text(mapping, "realm");
        let hashes = mapping.optional("algorithms").map(|value| value.distinct_of(&HASHES));
        let RotatedLogin { username, password, previous } = login?;
        let all = || HASHES.map(|(_, hash)| hash).to_vec();
        let policy = Policy { realm, hashes: hashes.unwrap_or_else(|| Some(all()))? };
        Some(Settings { username, password, previous, policy })
    }

    fn has_previous(settings: &Settings) -> bool {
        settings.previous.is_some()
    }

    fn owned(_: &Settings) -> Owned {
        Owned::authorization()
    }

    fn build(settings: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        let shared = Arc::new(Shared::new(build.service, settings.policy.clone()));
        let signer = |number, password: Option<&Secret>| {
            let user = User { name: settings.username.clone(), password: password.cloned() };
            DigestSigner::new(shared.clone(), user, number)
        };
        let previous = settings.previous.as_ref().map(|previous| signer(1, Some(previous)));
        with_previous(build, signer(0, settings.password.as_ref()), previous)
    }

    fn explain_401(settings: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        let scheme = rejection.of_scheme("Digest");
        let integrity = "The upstream asks for `qop=auth-int`, a hash over bodies, which is not supported: set it to `qop=auth` there.";
        let algorithms = "Only the hash functions in `algorithms` are used: does the upstream offer another one in `WWW-Authenticate`?";
        let realm = "Only challenges of the realm in `realm` are answered: is it written exactly as in `WWW-Authenticate`?";
        let values = "Are `username` and `password` right? Servers keep a hash of both with the realm, so that a changed realm needs new ones.";
        let of_challenge = [
            (integrity, rejection.has("auth-int")),
            (algorithms, settings.policy.hashes.len() < HASHES.len()),
            (realm, settings.policy.realm.is_some()),
        ];
        let of_challenge = of_challenge.into_iter().filter(|(_, applies)| *applies).map(|(text, _)| text);
        scheme.into_iter().chain(of_challenge.chain([values]).map(str::to_owned)).collect()
    }
}
