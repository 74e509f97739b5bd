//! The signature base, and where the signature goes (RFC 9421 §2.5, §3.1).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use ring::digest;
use sfv::{BareItem, Item, SerializeValue};

use super::component::{CONTENT_DIGEST, Component};
use crate::credential::{Injection, OutboundBody, OutboundRequest, Owned, SignatureScheme, Unsignable};
use crate::oauth2::jws;
use crate::secret::SigningKey;

const SIGNATURE: &str = "Signature";
const SIGNATURE_INPUT: &str = "Signature-Input";
const CONTENT_DIGEST_FIELD: &str = "Content-Digest";

/// What is the same for every key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Format {
    pub(super) components: Vec<Component>,
    /// The name of the signature in both fields.
    pub(super) label: String,
    pub(super) has_created: bool,
    /// How long after `created` the signature expires.
    pub(super) lifetime: Option<Duration>,
    pub(super) has_nonce: bool,
    /// The value of `alg`, if it is sent.
    pub(super) alg: Option<&'static str>,
    pub(super) tag: Option<String>,
    pub(super) digest: ContentDigest,
}

/// Where `Content-Digest` comes from, if it is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ContentDigest {
    Sha256,
    Sha512,
    /// The caller sends it.
    Caller,
}

impl ContentDigest {
    /// The value of the field (RFC 9530 §2).
    pub(super) fn of(self, body: &[u8]) -> Option<String> {
        let (name, algorithm) = match self {
            Self::Sha256 => ("sha-256", &digest::SHA256),
            Self::Sha512 => ("sha-512", &digest::SHA512),
            Self::Caller => return None,
        };
        Some(format!("{name}=:{}:", STANDARD.encode(digest::digest(algorithm, body))))
    }
}

impl Format {
    /// Whether the digest of the body is computed here.
    pub(super) fn has_digest(&self) -> bool {
        self.digest != ContentDigest::Caller && self.components.iter().any(Component::is_content_digest)
    }

    /// The value of `@signature-params` for these identifiers.
    pub(super) fn parameters(
        &self,
        identifiers: &[&str],
        key_id: Option<&str>,
        now: SystemTime,
        nonce: Option<&str>,
    ) -> String {
        let mut out = format!("({})", identifiers.join(" "));
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.has_created {
            let _ = write!(out, ";created={}", seconds.as_secs());
        }
        if let Some(lifetime) = self.lifetime {
            let _ = write!(out, ";expires={}", (seconds + lifetime).as_secs());
        }
        let texts = [("keyid", key_id), ("alg", self.alg), ("nonce", nonce), ("tag", self.tag.as_deref())];
        for (name, text) in texts {
            // Checked when the configuration was read.
            let quoted = text.and_then(quoted);
            if let Some(quoted) = quoted {
                let _ = write!(out, ";{name}={quoted}");
            }
        }
        out
    }
}

/// A text as a string of a structured field (RFC 9651 §4.1.6); `None` if it cannot be one.
pub(super) fn quoted(text: &str) -> Option<String> {
    Item::new(BareItem::String(text.to_owned())).serialize_value().ok()
}

/// The text that is signed, of identifiers with their values (RFC 9421 §2.5).
pub(super) fn signature_base<'a>(
    covered: impl IntoIterator<Item = (&'a str, &'a str)>,
    parameters: &str,
) -> String {
    let mut base = String::with_capacity(512);
    for (identifier, value) in covered {
        let _ = writeln!(base, "{identifier}: {value}");
    }
    let _ = write!(base, "\"@signature-params\": {parameters}");
    base
}

/// The scheme, with one key.
pub(super) struct HttpSignature {
    format: Arc<Format>,
    key: SigningKey,
    key_id: Option<String>,
    owned: Arc<Owned>,
}

impl HttpSignature {
    pub(super) fn new(format: Arc<Format>, key: SigningKey, key_id: Option<String>) -> Self {
        let owned = Arc::new(Self::owned_of(&format));
        Self { format, key, key_id, owned }
    }

    /// The parts of a request that belong to a signature of this format.
    pub(super) fn owned_of(format: &Format) -> Owned {
        let names =
            [SIGNATURE, SIGNATURE_INPUT].into_iter().chain(format.has_digest().then_some(CONTENT_DIGEST));
        let names = names.map(|name| HeaderName::try_from(name).expect("these are names of fields"));
        names.fold(Owned::default(), Owned::with_header)
    }
}

impl SignatureScheme for HttpSignature {
    fn owned(&self) -> &Arc<Owned> {
        &self.owned
    }

    fn signs_body(&self) -> bool {
        self.format.has_digest()
    }

    fn is_single_use(&self) -> bool {
        self.format.has_created || self.format.has_nonce
    }

    fn sign<'s>(
        &'s self,
        request: &OutboundRequest<'_>,
        now: SystemTime,
        injection: &mut Injection<'s>,
    ) -> Result<(), Unsignable> {
        let has_body = !matches!(request.body, OutboundBody::Empty);
        let is_computed = has_body && self.format.has_digest();
        let digest = if is_computed { self.format.digest.of(request.body.held()) } else { None };
        let mut covered = Vec::with_capacity(self.format.components.len());
        for component in &self.format.components {
            if let Some(value) = component.value(request, digest.as_deref())? {
                covered.push((component.identifier.as_str(), value));
            }
        }
        let identifiers: Vec<_> = covered.iter().map(|(identifier, _)| *identifier).collect();
        let nonce = if self.format.has_nonce { jws::random_id().map(Some) } else { Ok(None) };
        let nonce = nonce.map_err(|_| Unsignable::Failed)?;
        let key_id = self.key_id.as_deref();
        let parameters = self.format.parameters(&identifiers, key_id, now, nonce.as_deref());
        let base =
            signature_base(covered.iter().map(|(identifier, value)| (*identifier, &**value)), &parameters);
        let signature = self.key.sign(base.as_bytes()).map_err(|_| Unsignable::Failed)?;
        let label = &self.format.label;
        let value = |text: String| HeaderValue::try_from(text).map_err(|_| Unsignable::Failed);
        if let Some(digest) = digest {
            injection.field(CONTENT_DIGEST_FIELD, value(digest)?);
        }
        injection.field(SIGNATURE_INPUT, value(format!("{label}={parameters}"))?);
        let mut signature = value(format!("{label}=:{}:", STANDARD.encode(&signature)))?;
        signature.set_sensitive(true);
        injection.field(SIGNATURE, signature);
        Ok(())
    }
}
