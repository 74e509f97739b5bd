//! The public keys of an issuer (JWK Set, RFC 7517 §5).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature;
use ring::signature::{RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::Value;

use crate::secret::Algorithm;

/// Largest number of keys.
const MAX_KEYS: usize = 100;

/// The keys that verify signatures.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeySet(Vec<VerificationKey>);

/// One key.
#[derive(Debug, PartialEq, Eq)]
struct VerificationKey {
    id: Option<String>,
    /// The only algorithm that it is for, if it says so.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The point, uncompressed.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// Whether a signature is right.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verified {
    /// The signature is right.
    Yes,
    /// The signature is wrong.
    No,
    /// No key could have made it.
    UnknownKey,
}

impl KeySet {
    /// Parses a set. Keys of other kinds, and for other uses, are left out.
    ///
    /// # Errors
    ///
    /// If it is no set, or if no key in it can be used.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let set: Value = serde_json::from_slice(json).map_err(|_| "it is not JSON".to_owned())?;
        let keys = set["keys"].as_array().ok_or("it has no `keys`")?;
        if keys.len() > MAX_KEYS {
            return Err(format!("it has more than {MAX_KEYS} keys"));
        }
        let keys: Vec<_> = keys.iter().filter_map(VerificationKey::parse).collect();
        if keys.is_empty() { Err("it has no key that can be used".into()) } else { Ok(Self(keys)) }
    }

    /// Verifies a signature. A token that names a key is verified by that key, and one that names none by the only key of its kind.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        signed: &[u8],
        signature: &[u8],
    ) -> Verified {
        let fits = |key: &&VerificationKey| {
            key.algorithm.as_deref().is_none_or(|name| name == algorithm.as_str())
                && key.material.is_for(algorithm)
        };
        let mut candidates = self.0.iter().filter(|key| id.is_none() || key.id.as_deref() == id).filter(fits);
        match (candidates.next(), candidates.next()) {
            (Some(key), None) if key.material.verify(algorithm, signed, signature) => Verified::Yes,
            (Some(_), None) => Verified::No,
            // Two keys with one name, or no name and several keys: which one is meant is not known.
            (_, Some(_)) | (None, _) => Verified::UnknownKey,
        }
    }
}

impl VerificationKey {
    fn parse(key: &Value) -> Option<Self> {
        let text = |name: &str| key[name].as_str();
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let is_for_signatures = key.get("use").is_none_or(|use_| use_ == "sig")
            && key
                .get("key_ops")
                .is_none_or(|ops| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify")));
        if !is_for_signatures {
            return None;
        }
        let point = |length: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            (x.len() == length && y.len() == length).then(|| [&[4][..], &x, &y].concat())
        };
        let material = match (text("kty")?, text("crv")) {
            ("RSA", None) => Material::Rsa { n: bytes("n")?, e: bytes("e")? },
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes("x").filter(|x| x.len() == 32)?),
            _ => return None,
        };
        // A name that is no text is none that a token could have.
        let id = match key.get("kid") {
            None => None,
            Some(id) => Some(id.as_str()?.to_owned()),
        };
        let algorithm = match key.get("alg") {
            None => None,
            Some(algorithm) => Some(algorithm.as_str()?.to_owned()),
        };
        Some(Self { id, algorithm, material })
    }
}

impl Material {
    /// Whether the algorithm is one of this kind of key: a key never verifies by another.
    fn is_for(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa { .. } => matches!(
                algorithm,
                Algorithm::Rs256
                    | Algorithm::Rs384
                    | Algorithm::Rs512
                    | Algorithm::Ps256
                    | Algorithm::Ps384
                    | Algorithm::Ps512
            ),
            Self::P256(_) => algorithm == Algorithm::Es256,
            Self::P384(_) => algorithm == Algorithm::Es384,
            Self::Ed25519(_) => algorithm == Algorithm::EdDsa,
        }
    }

    fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        let by = |key: &[u8], with: &'static dyn signature::VerificationAlgorithm| {
            UnparsedPublicKey::new(with, key).verify(signed, signature).is_ok()
        };
        match self {
            Self::Rsa { n, e } => {
                let with = match algorithm {
                    Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                    Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
                    Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return false,
                };
                RsaPublicKeyComponents { n, e }.verify(with, signed, signature).is_ok()
            }
            Self::P256(point) => by(point, &signature::ECDSA_P256_SHA256_FIXED),
            Self::P384(point) => by(point, &signature::ECDSA_P384_SHA384_FIXED),
            Self::Ed25519(key) => by(key, &signature::ED25519),
        }
    }
}
