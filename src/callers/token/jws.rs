//! A signed token in compact form (RFC 7515 §3.1), before its signature is verified.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memchr_iter;
use serde_json::{Map, Value};

use super::jwks::{KeySet, Verified};
use crate::callers::refusal::Refusal;
use crate::secret::Algorithm;

/// Values of `typ` that say what the token is. A token for another purpose, such as a DPoP proof, has another.
const TYPES: [&str; 4] = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"];

/// A token whose signature is not verified yet. Nothing in it may be believed but which issuer it claims to be of.
pub(super) struct Jws<'t> {
    algorithm: Algorithm,
    key_id: Option<String>,
    /// Header and payload as they are signed.
    signed: &'t [u8],
    signature: Vec<u8>,
    claims: Map<String, Value>,
}

/// Whether a credential has the form of one.
pub(super) fn is_jws(credential: &[u8]) -> bool {
    memchr_iter(b'.', credential).count() == 2
}

impl<'t> Jws<'t> {
    /// Parses a token.
    pub(super) fn parse(token: &'t [u8]) -> Result<Self, Refusal> {
        Self::parts(token).ok_or(Refusal::TokenMalformed)
    }

    fn parts(token: &'t [u8]) -> Option<Self> {
        let last = token.iter().rposition(|byte| *byte == b'.')?;
        let (signed, signature) = (&token[..last], &token[last + 1..]);
        let first = signed.iter().position(|byte| *byte == b'.')?;
        let object = |part: &[u8]| -> Option<Map<String, Value>> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
        };
        let (header, claims) = (object(&signed[..first])?, object(&signed[first + 1..])?);
        // An extension that must be understood (RFC 7515 §4.1.11): none is.
        if header.contains_key("crit") {
            return None;
        }
        if let Some(kind) = header.get("typ") {
            let kind = kind.as_str()?.to_ascii_lowercase();
            TYPES.contains(&kind.as_str()).then_some(())?;
        }
        let name = header.get("alg")?.as_str()?;
        // None with a shared secret, and not `none`.
        let algorithm = Algorithm::ASYMMETRIC.into_iter().find(|algorithm| algorithm.as_str() == name)?;
        let key_id = match header.get("kid") {
            None => None,
            // A name, compared as it is. Keys that a token brings along (`jwk`, `jku`, `x5c`, `x5u`) are never used.
            Some(id) => Some(id.as_str()?.to_owned()),
        };
        Some(Self { algorithm, key_id, signed, signature: URL_SAFE_NO_PAD.decode(signature).ok()?, claims })
    }

    /// The issuer that it claims to be of.
    pub(super) fn claimed_issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    pub(super) fn verify(&self, keys: &KeySet) -> Verified {
        keys.verify(self.algorithm, self.key_id.as_deref(), self.signed, &self.signature)
    }

    /// The claims. They may be believed once the signature was verified.
    pub(super) fn into_claims(self) -> Map<String, Value> {
        self.claims
    }
}
