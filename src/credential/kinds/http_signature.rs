//! `type: http_signature`: HTTP message signatures (RFC 9421), with the digest of the body (RFC 9530).

mod component;
mod field;
mod scheme;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use component::Component;
use scheme::{ContentDigest, Format as SignatureFormat, HttpSignature, quoted};

use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret;
use crate::config::reader::secret::SECRET;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::credential::{Build, KeyEncoding, Kind, Owned, Rejection, Signer, Signing, with_previous};
use crate::secret::{Algorithm, SigningKey};

/// The kind `http_signature`.
pub struct HttpSignatures;

/// The settings of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    format: Arc<SignatureFormat>,
    key: SigningKey,
    /// `keyid`
    key_id: Option<String>,
    /// The key before a rotation, and its `keyid`.
    previous: Option<(SigningKey, Option<String>)>,
}

/// The algorithms of RFC 9421 §3.3 by their registered names.
const ALGORITHMS: [(&str, Algorithm); 6] = [
    ("rsa-pss-sha512", Algorithm::Ps512),
    ("rsa-v1_5-sha256", Algorithm::Rs256),
    ("hmac-sha256", Algorithm::Hs256),
    ("ecdsa-p256-sha256", Algorithm::Es256),
    ("ecdsa-p384-sha384", Algorithm::Es384),
    ("ed25519", Algorithm::EdDsa),
];

const DIGESTS: [(&str, ContentDigest); 3] = [
    ("sha-256", ContentDigest::Sha256),
    ("sha-512", ContentDigest::Sha512),
    ("caller", ContentDigest::Caller),
];

/// Longest `expires_in`.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);

impl Kind for HttpSignatures {
    const NAME: &'static str = "http_signature";
    const KEYS: Keys = &[
        Key::required("algorithm", Format::Words(&ALGORITHMS), "The signature algorithm (RFC 9421 §3.3)."),
        KeyEncoding::KEY,
        Key::required("key", SECRET, "The private key in PEM, or the shared key of `hmac-sha256`."),
        Key::optional("key_id", Format::Text, "`keyid`: the name of the key at the API."),
        Key::optional(
            "previous",
            SECRET,
            "The key before a rotation, used while the upstream rejects the new one.",
        ),
        Key::depends("previous_key_id", Format::Text, "`keyid` of `previous`. Default: that of `key`."),
        Key::required(
            "components",
            Format::NonEmptyList(&Format::Text),
            "What is covered: `@method`, `@target-uri`, `@authority`, …, and names of header fields.",
        ),
        Key::optional(
            "content_digest",
            Format::Words(&DIGESTS),
            "The hash function of `content-digest`, if it is covered; `caller`: callers send that field.",
        )
        .or("sha-256"),
        Key::optional("label", Format::Text, "The name of the signature in its fields.").or("sig1"),
        Key::optional("created", Format::Bool, "The signature has the time at which it was made.").or("true"),
        Key::optional(
            "expires_in",
            DURATION,
            "From `created` to `expires`, up to 24h. Default: no `expires`.",
        ),
        Key::optional("nonce", Format::Bool, "The signature has a random text of its own.").or("false"),
        Key::optional("send_algorithm", Format::Bool, "The signature names its algorithm (`alg`).")
            .or("false"),
        Key::optional("tag", Format::Text, "`tag`: the application that the signature is for."),
    ];
    const IS_FIXED: bool = true;
    const SIGNS: bool = true;
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        read(mapping)
    }

    fn has_previous(settings: &Settings) -> bool {
        settings.previous.is_some()
    }

    fn owned(settings: &Settings) -> Owned {
        HttpSignature::owned_of(&settings.format)
    }

    fn build(settings: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        let signer = |key: &SigningKey, key_id: Option<&String>| {
            Signing(HttpSignature::new(settings.format.clone(), key.clone(), key_id.cloned()))
        };
        let previous = settings.previous.as_ref().map(|(key, key_id)| signer(key, key_id.as_ref()));
        with_previous(build, signer(&settings.key, settings.key_id.as_ref()), previous)
    }

    fn explain_401(settings: &Settings, _: &Rejection<'_>) -> Vec<String> {
        let key = match &settings.key_id {
            Some(_) => {
                "Is `key_id` the name of the key there, is it for this `algorithm`, and is `key` its private part?"
            }
            None => "Does the API find the key without a name? Most need `key_id`.",
        };
        let components = "Compare `components` with what the API requires to be covered, and with `Accept-Signature` of its \
                          responses. A header field that a request does not have is not covered.";
        let proxy = "Does a proxy in front of the API change the host, the path or a covered field? The signature is over what Sidekey sends.";
        let clock = "If this machine's clock is wrong, a signature with `created` or `expires` may count as expired or as not yet valid.";
        let clock = Some(clock).filter(|_| settings.format.has_created);
        [key, components, proxy].into_iter().chain(clock).map(str::to_owned).collect()
    }
}

fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
    let algorithm = mapping.required("algorithm").and_then(|value| value.one_of(&ALGORITHMS));
    let name = ALGORITHMS.iter().find(|(_, known)| Some(*known) == algorithm).map(|(name, _)| *name);
    let encoding = KeyEncoding::read(mapping);
    let key = mapping.required("key").and_then(|value| key(&value, algorithm?, encoding?));
    let key_id = mapping.optional("key_id").map_or(Some(None), |value| value.parse(text).map(Some));
    let previous = mapping.optional("previous").map(|value| (key_of(&value, algorithm, encoding), value));
    let previous_key_id = mapping.optional("previous_key_id").map(|value| value.parse(text));
    let components = mapping.required("components").and_then(|value| components(&value));
    let digest = mapping.optional("content_digest");
    let digest = digest.map_or(Some(ContentDigest::Sha256), |value| value.one_of(&DIGESTS));
    let label = mapping.optional("label").map_or(Some("sig1".to_owned()), |value| value.parse(label));
    let has_created = mapping.optional("created").map_or(Some(true), |value| value.boolean());
    let lifetime = mapping.optional("expires_in").map(|value| (lifetime(&value), value));
    let has_nonce = mapping.optional("nonce").map_or(Some(false), |value| value.boolean());
    let sends_alg = mapping.optional("send_algorithm").map_or(Some(false), |value| value.boolean());
    let tag = mapping.optional("tag").map_or(Some(None), |value| value.parse(text).map(Some));
    if let (Some((_, value)), Some(false)) = (&lifetime, has_created) {
        value.error("`expires` is counted from `created`, which is switched off");
    }
    if previous.is_none() && previous_key_id.is_some() {
        mapping.value().error("`previous_key_id` has no meaning without `previous`");
        return None;
    }
    let key = key?;
    let previous = match previous {
        None => None,
        Some((previous, value)) => {
            let previous = previous?;
            let previous_key_id = previous_key_id.map_or(Some(key_id.clone()?), |read| read.map(Some))?;
            if previous == key {
                value.warn("the same value as `key`; it has no effect");
                None
            } else {
                Some((previous, previous_key_id))
            }
        }
    };
    let format = SignatureFormat {
        components: components?,
        label: label?,
        has_created: has_created?,
        lifetime: match lifetime {
            None => None,
            Some((lifetime, _)) => Some(lifetime?),
        },
        has_nonce: has_nonce?,
        alg: name.filter(|_| sends_alg == Some(true)),
        tag: tag?,
        digest: digest?,
    };
    Some(Settings { format: Arc::new(format), key, key_id: key_id?, previous })
}

fn key_of(
    value: &Value<'_>,
    algorithm: Option<Algorithm>,
    encoding: Option<KeyEncoding>,
) -> Option<SigningKey> {
    key(value, algorithm?, encoding?)
}

/// Reads a key for an algorithm.
fn key(value: &Value<'_>, algorithm: Algorithm, encoding: KeyEncoding) -> Option<SigningKey> {
    if algorithm != Algorithm::Hs256 {
        if encoding != KeyEncoding::Utf8 {
            value.error("a private key is PEM; `key_encoding` is for the shared key of `hmac-sha256`");
            return None;
        }
        return secret::signing_key(value, Some(algorithm));
    }
    let key = encoding.key(value)?;
    Some(SigningKey::shared_bytes(&encoding.decode(&key)?, algorithm))
}

fn components(value: &Value<'_>) -> Option<Vec<Component>> {
    let values = value.one_or_more();
    let read: Vec<_> = values.iter().map(|value| value.parse(Component::parse)).collect();
    let components: Vec<_> = read.into_iter().collect::<Option<_>>()?;
    for (index, component) in components.iter().enumerate() {
        if components[..index].iter().any(|before| before.identifier == component.identifier) {
            values[index].error("the same component is covered twice");
            return None;
        }
    }
    Some(components).filter(|components| !components.is_empty())
}

/// Checks a text that is sent as a string of a structured field.
fn text(text: &str) -> Result<String, String> {
    match quoted(text) {
        Some(_) if text.is_empty() => Err("empty".into()),
        Some(_) => Ok(text.to_owned()),
        None => Err("only visible ASCII and spaces are allowed".into()),
    }
}

/// The key of a dictionary (RFC 9651 §3.2).
fn label(text: &str) -> Result<String, String> {
    let is_first = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'*';
    let is_rest = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(byte);
    if text.as_bytes().first().is_some_and(is_first) && text.bytes().all(|byte| is_rest(&byte)) {
        Ok(text.to_owned())
    } else {
        Err("a lower-case letter, then lower-case letters, digits, `_`, `-`, `.` and `*`".into())
    }
}

fn lifetime(value: &Value<'_>) -> Option<Duration> {
    let read = duration::positive(value)?;
    if read > MAX_LIFETIME || read.subsec_nanos() > 0 {
        value.error("a number of whole seconds, at most `24h`");
        return None;
    }
    Some(read)
}
