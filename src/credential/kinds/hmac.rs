//! `type: hmac`: a keyed hash over parts of the request (RFC 2104), in a header field.
//!
//! The parts are a closed list. They are joined by line feeds in the configured order. They are signed as
//! they are sent: the path includes the upstream's base path, and the query is the caller's. A signature with
//! a time is made again for each attempt.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use ring::{digest, hmac};

use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret::SECRET;
use crate::config::reader::table::{Format, Key, Keys};
use crate::credential::{
    Build, Injection, KeyEncoding, Kind, OutboundRequest, Owned, Rejection, SignatureScheme, Signer, Signing,
    Unsignable, header_name, with_previous,
};
use crate::proto::FieldName;
use crate::secret::{Secret, hex};

/// The kind `hmac`.
pub struct Hmac;

/// The settings of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The key.
    key: Secret,
    /// The previous key of a rotation.
    previous: Option<Secret>,
    key_encoding: KeyEncoding,
    algorithm: Algorithm,
    parts: Vec<Part>,
    encoding: Encoding,
    /// The header field of the signature.
    header: FieldName,
    /// The text before the signature, such as `sha256=`.
    prefix: String,
    /// The header field of the time, if `parts` has `timestamp`.
    timestamp_header: Option<FieldName>,
}

/// A part of the request that is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Method,
    Path,
    Query,
    Timestamp,
    BodyDigest,
}

const PARTS: [(&str, Part); 5] = [
    ("method", Part::Method),
    ("path", Part::Path),
    ("query", Part::Query),
    ("timestamp", Part::Timestamp),
    ("body_digest", Part::BodyDigest),
];

const ALGORITHMS: [(&str, Algorithm); 3] =
    [("sha256", Algorithm::Sha256), ("sha384", Algorithm::Sha384), ("sha512", Algorithm::Sha512)];

const ENCODINGS: [(&str, Encoding); 2] = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Encoding {
    Hex,
    Base64,
}

impl Kind for Hmac {
    const NAME: &'static str = "hmac";
    const KEYS: Keys = &[
        KeyEncoding::KEY,
        Key::required("key", SECRET, "The key."),
        Key::optional(
            "previous",
            SECRET,
            "The key before a rotation, used while the upstream rejects the new one.",
        ),
        Key::optional("algorithm", Format::Words(&ALGORITHMS), "The hash function.").or("sha256"),
        Key::required(
            "parts",
            Format::Distinct(&Format::Words(&PARTS)),
            "What is signed, joined by line feeds in this order.",
        ),
        Key::optional(
            "encoding",
            Format::Words(&ENCODINGS),
            "How the signature and the body's digest are written.",
        )
        .or("hex"),
        Key::required("header", Format::Text, "Name of the header field that holds the signature."),
        Key::optional("prefix", Format::Text, "Text before the signature, such as `sha256=`."),
        Key::optional(
            "timestamp_header",
            Format::Text,
            "Name of the header field that holds the time, in seconds since 1970; with `timestamp` in `parts`.",
        ),
    ];
    const IS_FIXED: bool = true;
    const SIGNS: bool = true;
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        let key_encoding = KeyEncoding::read(mapping);
        let key = mapping.required("key").and_then(|value| key_encoding?.key(&value));
        let previous = mapping.optional("previous").map(|value| key_encoding?.key(&value));
        let algorithm =
            mapping.optional("algorithm").map_or(Some(Algorithm::Sha256), |value| value.one_of(&ALGORITHMS));
        let parts = mapping.required("parts").and_then(|value| value.distinct_of(&PARTS));
        let encoding =
            mapping.optional("encoding").map_or(Some(Encoding::Hex), |value| value.one_of(&ENCODINGS));
        let header = mapping.required("header").and_then(|value| value.parse(header_name));
        let prefix = mapping.optional("prefix").map_or(Some(String::new()), |value| value.parse(prefix));
        let timestamp = mapping.optional("timestamp_header");
        let timestamp_header = timestamp.as_ref().map(|value| value.parse(header_name));
        let (parts, header) = (parts?, header?);
        match (parts.contains(&Part::Timestamp), &timestamp) {
            (true, None) => mapping
                .value()
                .error("`parts` has `timestamp`, so the time must be sent as well: `timestamp_header: NAME`"),
            (false, Some(value)) => {
                value.error("`parts` has no `timestamp`, so this time would not be signed");
            }
            _ => {}
        }
        if let (Some(value), Some(Some(name))) = (&timestamp, &timestamp_header)
            && name.name() == header.name()
        {
            value.error("the same header as `header`");
        }
        Some(Settings {
            key: key?,
            previous: match previous {
                None => None,
                Some(previous) => Some(previous?),
            },
            key_encoding: key_encoding?,
            algorithm: algorithm?,
            parts,
            encoding: encoding?,
            header,
            prefix: prefix?,
            timestamp_header: match timestamp_header {
                None => None,
                Some(name) => Some(name?),
            },
        })
    }

    fn has_previous(settings: &Settings) -> bool {
        settings.previous.is_some()
    }

    fn owned(settings: &Settings) -> Owned {
        let timestamp = settings.timestamp_header.iter().map(|field| field.name().clone());
        let owned = Owned::default().with_header(settings.header.name().clone());
        timestamp.fold(owned, Owned::with_header)
    }

    fn build(settings: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        let signer = |key| Signing(HmacScheme::new(settings, key));
        with_previous(build, signer(&settings.key), settings.previous.as_ref().map(signer))
    }

    fn explain_401(settings: &Settings, _: &Rejection<'_>) -> Vec<String> {
        let order =
            "Are `parts` in the order of the API's documentation, and does the API join them by line feeds?";
        let key = match settings.key_encoding {
            KeyEncoding::Utf8 => {
                "The key is used as text: does the API decode it first (`key_encoding: hex` or `base64`)?"
            }
            KeyEncoding::Hex | KeyEncoding::Base64 => {
                "The key is decoded first: does the API use it as text (`key_encoding: utf8`)?"
            }
        };
        let clock = "If this machine's clock is wrong, a signature with `timestamp` may count as expired.";
        let clock = Some(clock).filter(|_| settings.parts.contains(&Part::Timestamp));
        [order, key].into_iter().chain(clock).map(str::to_owned).collect()
    }
}

fn prefix(text: &str) -> Result<String, String> {
    if !text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) || text.starts_with(' ') {
        return Err("only visible ASCII and spaces are allowed, and no space at the start".into());
    }
    Ok(text.to_owned())
}

impl Encoding {
    fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Base64 => STANDARD.encode(bytes),
            Self::Hex => hex(bytes),
        }
    }
}

/// The scheme, with one key.
struct HmacScheme {
    key: hmac::Key,
    digest: &'static digest::Algorithm,
    parts: Vec<Part>,
    encoding: Encoding,
    header: FieldName,
    prefix: String,
    timestamp_header: Option<FieldName>,
    owned: Arc<Owned>,
}

impl HmacScheme {
    fn new(settings: &Settings, key: &Secret) -> Self {
        let (algorithm, digest) = match settings.algorithm {
            Algorithm::Sha256 => (hmac::HMAC_SHA256, &digest::SHA256),
            Algorithm::Sha384 => (hmac::HMAC_SHA384, &digest::SHA384),
            Algorithm::Sha512 => (hmac::HMAC_SHA512, &digest::SHA512),
        };
        let bytes =
            settings.key_encoding.decode(key).expect("the configuration has checked the encoding of the key");
        Self {
            key: hmac::Key::new(algorithm, &bytes),
            digest,
            parts: settings.parts.clone(),
            encoding: settings.encoding,
            header: settings.header.clone(),
            prefix: settings.prefix.clone(),
            timestamp_header: settings.timestamp_header.clone(),
            owned: Arc::new(Hmac::owned(settings)),
        }
    }

    fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// The value of the header field, at `time` in seconds since 1970.
    fn signature(&self, request: &OutboundRequest<'_>, time: &str) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                context.update(b"\n");
            }
            match part {
                Part::Method => context.update(request.method.as_bytes()),
                Part::Path => context.update(request.full_path().as_bytes()),
                Part::Query => context.update(request.query.as_deref().unwrap_or_default().as_bytes()),
                Part::Timestamp => context.update(time.as_bytes()),
                Part::BodyDigest => {
                    let hash = digest::digest(self.digest, request.body.held());
                    context.update(self.encoding.encode(hash.as_ref()).as_bytes());
                }
            }
        }
        format!("{}{}", self.prefix, self.encoding.encode(context.sign().as_ref()))
    }
}

impl SignatureScheme for HmacScheme {
    fn owned(&self) -> &Arc<Owned> {
        &self.owned
    }

    fn signs_body(&self) -> bool {
        self.has(Part::BodyDigest)
    }

    fn is_single_use(&self) -> bool {
        self.has(Part::Timestamp)
    }

    fn sign<'s>(
        &'s self,
        request: &OutboundRequest<'_>,
        now: SystemTime,
        injection: &mut Injection<'s>,
    ) -> Result<(), Unsignable> {
        let time = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let signature = HeaderValue::from_str(&self.signature(request, &time));
        let mut signature = signature.map_err(|_| Unsignable::Failed)?;
        signature.set_sensitive(true);
        if let Some(name) = &self.timestamp_header {
            let time = HeaderValue::from_str(&time).map_err(|_| Unsignable::Failed)?;
            injection.field(name.as_written(), time);
        }
        injection.field(self.header.as_written(), signature);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{ForwardedFields, NotReady, OutboundBody};

    fn settings(parts: &[Part]) -> Settings {
        Settings {
            key: Secret::new("Jefe".into()).unwrap(),
            previous: None,
            key_encoding: KeyEncoding::Utf8,
            algorithm: Algorithm::Sha256,
            parts: parts.to_vec(),
            encoding: Encoding::Hex,
            header: header_name("X-Signature").unwrap(),
            prefix: String::new(),
            timestamp_header: None,
        }
    }

    fn signed(settings: &Settings, method: &str, path: &str, body: OutboundBody<'_>) -> String {
        let signer = HmacScheme::new(settings, &settings.key);
        let request = OutboundRequest {
            method,
            origin: "https://up.example",
            authority: "up.example",
            base_path: "",
            path,
            query: Some("a=1".into()),
            fields: ForwardedFields::of(&[], &signer.owned),
            body,
            after: None,
            subject: None,
            may_probe: false,
        };
        signer.signature(&request, "1700000000")
    }

    #[test]
    fn hmac_matches_the_vectors_of_rfc_4231() {
        // Test cases 1 to 4, and 6; the data is signed as a method, which is written as it is.
        let cases: [(&str, &[u8], &str, &str); 4] = [
            (
                "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
            ),
            (
                "4a656665",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
            (
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
                "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
            ),
            (
                "0102030405060708090a0b0c0d0e0f10111213141516171819",
                &[0xcd; 50],
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
                "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd",
            ),
        ];
        for (key, data, sha256, sha512) in cases {
            let key = Secret::new(key.into()).unwrap();
            for (algorithm, expected) in [(Algorithm::Sha256, sha256), (Algorithm::Sha512, sha512)] {
                let settings =
                    Settings { key_encoding: KeyEncoding::Hex, algorithm, ..settings(&[Part::Method]) };
                let signer = HmacScheme::new(&settings, &key);
                let signature = hmac::sign(&signer.key, data);
                assert_eq!(Encoding::Hex.encode(signature.as_ref()), expected);
            }
        }
    }

    #[test]
    fn signature_covers_the_parts_in_their_order() {
        let both = [Part::Method, Part::Path];
        let one = signed(&settings(&both), "GET", "/x", OutboundBody::Empty);
        assert_ne!(one, signed(&settings(&both), "POST", "/x", OutboundBody::Empty));
        assert_ne!(one, signed(&settings(&both), "GET", "/y", OutboundBody::Empty));
        assert_ne!(one, signed(&settings(&[Part::Path, Part::Method]), "GET", "/x", OutboundBody::Empty));
        assert_eq!(one, signed(&settings(&both), "GET", "/x", OutboundBody::Complete(b"body")));
        let body = settings(&[Part::BodyDigest]);
        let of = |content| signed(&body, "GET", "/x", OutboundBody::Complete(content));
        assert_ne!(of(b"a"), of(b"b"));
        assert_eq!(of(b""), signed(&body, "GET", "/x", OutboundBody::Empty));
        // printf 'what do ya want for nothing?' | openssl dgst -sha256 -hmac Jefe (RFC 4231, case 2), as a
        // method.
        let method =
            signed(&settings(&[Part::Method]), "what do ya want for nothing?", "/", OutboundBody::Empty);
        assert_eq!(method, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn signer_without_the_body_signs_nothing() {
        let settings = settings(&[Part::BodyDigest]);
        let signer = Signing(HmacScheme::new(&settings, &settings.key));
        let request = OutboundRequest {
            method: "POST",
            origin: "",
            authority: "",
            base_path: "",
            path: "/",
            query: None,
            fields: ForwardedFields::of(&[], signer.owned()),
            body: OutboundBody::Streaming,
            after: None,
            subject: None,
            may_probe: false,
        };
        let mut injection = Injection::default();
        assert_eq!(signer.sign(&request, &mut injection), Err(NotReady));
        assert!(injection.is_empty());
    }
}
