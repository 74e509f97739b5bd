//! Signing keys, read from PEM or made from a shared secret. The algorithm is checked once, when the key is
//! read. The key cannot be read again, so no code can print it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair,
    RsaPublicKeyComponents,
};
use ring::{digest, hmac};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::{Zeroize, Zeroizing};

use super::invisible::{Character, is_invisible};
use super::{Secret, SecretText};

/// A signature algorithm of JSON Web Signatures (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the registered ones")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
    Hs256,
    Hs384,
    Hs512,
}

impl Algorithm {
    /// The value of `alg`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// Algorithms with a private key.
    pub const ASYMMETRIC: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// Algorithms with a shared secret.
    pub const SYMMETRIC: [Self; 3] = [Self::Hs256, Self::Hs384, Self::Hs512];

    /// The kind of key that the algorithm requires.
    fn family(self) -> &'static str {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => RSA,
            Self::Es256 => P256,
            Self::Es384 => P384,
            Self::EdDsa => ED25519,
            Self::Hs256 | Self::Hs384 | Self::Hs512 => "a shared secret",
        }
    }

    fn is_pss(self) -> bool {
        matches!(self, Self::Ps256 | Self::Ps384 | Self::Ps512)
    }

    fn rsa_encoding(self) -> Option<&'static dyn RsaEncoding> {
        Some(match self {
            Self::Rs256 => &signature::RSA_PKCS1_SHA256,
            Self::Rs384 => &signature::RSA_PKCS1_SHA384,
            Self::Rs512 => &signature::RSA_PKCS1_SHA512,
            Self::Ps256 => &signature::RSA_PSS_SHA256,
            Self::Ps384 => &signature::RSA_PSS_SHA384,
            Self::Ps512 => &signature::RSA_PSS_SHA512,
            _ => return None,
        })
    }
}

const RSA: &str = "RSA";
const RSA_PSS: &str = "RSA-PSS";
const P256: &str = "an elliptic curve (P-256)";
const P384: &str = "an elliptic curve (P-384)";
const ED25519: &str = "Ed25519";

/// A signing key for one algorithm. Clones share the key. Keys with the same content are equal, whatever
/// their source.
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Arc<Pair>,
    /// SHA-256 hash of the source of the key, for comparing and hashing without the key.
    digest: [u8; 32],
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Hmac(hmac::Key),
}

impl SigningKey {
    /// A new, random key in place of one that is not there, for checking a configuration.
    ///
    /// # Errors
    ///
    /// If the system gives no random numbers.
    pub fn placeholder() -> Result<Self, KeyError> {
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = SystemRandom::new();
        let key =
            signature::EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| KeyError::NotPem)?;
        let base64 = Zeroizing::new(STANDARD.encode(key.as_ref()));
        Self::from_pem(
            &format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *base64),
            None,
        )
    }

    /// Reads a private key from the PEM text of a source. For variables that cannot contain newlines, `\n` may
    /// separate the lines.
    pub fn from_text(text: &SecretText, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let text = text.as_str();
        if text.contains('\n') {
            return Self::from_pem(text, algorithm);
        }
        // Allocated once, because the memory that a growing string leaves behind is not wiped.
        let mut lines = Zeroizing::new(String::with_capacity(text.len() + 1));
        for line in text.split("\\n") {
            lines.push_str(line);
            lines.push('\n');
        }
        Self::from_pem(&lines, algorithm)
    }

    /// Reads a private key from PEM: PKCS#8, PKCS#1 or SEC1, not encrypted. The default algorithm depends on
    /// the kind of key: RS256, ES256, ES384 or `EdDSA`.
    pub fn from_pem(pem: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        if let Some(found) = Character::first(pem, is_invisible) {
            return Err(KeyError::Character(found));
        }
        if pem.contains("ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        let mut der = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
            Ok(der) => der,
            Err(_) if pem.contains("-----BEGIN CERTIFICATE") => return Err(KeyError::Certificate),
            Err(_) if pem.contains("-----BEGIN PUBLIC KEY") => return Err(KeyError::Public),
            Err(_) if pem.contains("-----BEGIN OPENSSH") => return Err(KeyError::OpenSsh),
            Err(_) => return Err(KeyError::NotPem),
        };
        let key = Self::from_der(&der, algorithm);
        der.zeroize();
        key
    }

    fn from_der(der: &PrivateKeyDer<'_>, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let (pair, is_for_pss) = match for_pss(der) {
            Some(pair) => (pair?, true),
            None => (pair(der)?, false),
        };
        let (kind, default) = match &pair {
            Pair::Rsa(_) if is_for_pss => (RSA_PSS, Algorithm::Ps256),
            Pair::Rsa(_) => (RSA, Algorithm::Rs256),
            Pair::Ec(key) if key.public_key().as_ref().len() == 65 => (P256, Algorithm::Es256),
            Pair::Ec(_) => (P384, Algorithm::Es384),
            Pair::Ed(_) => (ED25519, Algorithm::EdDsa),
            Pair::Hmac(_) => unreachable!("a shared secret is not read from PEM"),
        };
        let algorithm = algorithm.unwrap_or(default);
        if algorithm.family() != kind && !(is_for_pss && algorithm.is_pss()) {
            return Err(KeyError::Unsuitable {
                kind,
                algorithm: algorithm.as_str(),
                takes: algorithm.family(),
            });
        }
        Ok(Self { algorithm, pair: Arc::new(pair), digest: sha256(der.secret_der()) })
    }

    /// A shared secret as the key of an HMAC (RFC 7518 §3.2).
    ///
    /// # Panics
    /// If the algorithm is not one of [`Algorithm::SYMMETRIC`].
    pub fn shared(secret: &Secret, algorithm: Algorithm) -> Self {
        Self::shared_bytes(secret.0.as_bytes(), algorithm)
    }

    /// The same for a secret that is not text.
    ///
    /// # Panics
    /// If the algorithm is not one of [`Algorithm::SYMMETRIC`].
    pub fn shared_bytes(bytes: &[u8], algorithm: Algorithm) -> Self {
        let hash = match algorithm {
            Algorithm::Hs256 => hmac::HMAC_SHA256,
            Algorithm::Hs384 => hmac::HMAC_SHA384,
            Algorithm::Hs512 => hmac::HMAC_SHA512,
            other => panic!("{} requires a private key", other.as_str()),
        };
        Self { algorithm, pair: Arc::new(Pair::Hmac(hmac::Key::new(hash, bytes))), digest: sha256(bytes) }
    }

    /// Generates a P-256 key that exists in this process only.
    pub fn ephemeral() -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(EC[0].1, &random).map_err(|_| KeyError::NoRandomness)?;
        let key = EcdsaKeyPair::from_pkcs8(EC[0].1, document.as_ref(), &random)
            .map_err(|_| KeyError::NoRandomness)?;
        let digest = sha256(document.as_ref());
        Ok(Self { algorithm: Algorithm::Es256, pair: Arc::new(Pair::Ec(key)), digest })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key; `None` for a shared secret.
    pub fn public(&self) -> Option<PublicKey<'_>> {
        match &*self.pair {
            Pair::Rsa(pair) => {
                let RsaPublicKeyComponents { n, e } = pair.public().into();
                Some(PublicKey::Rsa { modulus: n, exponent: e })
            }
            Pair::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
                Some(PublicKey::Ec { curve: if x.len() == 32 { "P-256" } else { "P-384" }, x, y })
            }
            Pair::Ed(pair) => Some(PublicKey::Ed25519(pair.public_key().as_ref())),
            Pair::Hmac(_) => None,
        }
    }

    /// Signs a message; the signature has the form of JWS (for ECDSA both numbers in sequence, RFC 7518
    /// §3.4).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match &*self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let encoding = self.algorithm.rsa_encoding().ok_or(SigningError)?;
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| SigningError)?;
                Ok(signature)
            }
            Pair::Ec(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| SigningError)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
    }
}

/// The numbers of a public key, big-endian, as in JWK (RFC 7518 §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey<'a> {
    /// `kty: RSA`
    Rsa {
        /// `n`
        modulus: Vec<u8>,
        /// `e`
        exponent: Vec<u8>,
    },
    /// `kty: EC`
    Ec {
        /// `crv`
        curve: &'static str,
        /// `x`
        x: &'a [u8],
        /// `y`
        y: &'a [u8],
    },
    /// `kty: OKP` (RFC 8037 §2)
    Ed25519(&'a [u8]),
}

/// Shows the algorithm and nothing of the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ****", self.algorithm.as_str())
    }
}

impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.digest == other.digest
    }
}

impl Eq for SigningKey {}

impl Hash for SigningKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.algorithm.hash(state);
        self.digest.hash(state);
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// For each curve the start of a PKCS#8 document (version, then `id-ecPublicKey` with the curve), and the
/// algorithm.
const EC: [(&[u8], &EcdsaSigningAlgorithm); 2] = [
    (
        b"\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
        &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
    ),
    (
        b"\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22",
        &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
    ),
];

fn pair(der: &PrivateKeyDer<'_>) -> Result<Pair, KeyError> {
    match der {
        PrivateKeyDer::Pkcs1(key) => rsa(RsaKeyPair::from_der(key.secret_pkcs1_der())),
        PrivateKeyDer::Pkcs8(key) => {
            let key = key.secret_pkcs8_der();
            if let Some(pair) = ec(key) {
                return Ok(Pair::Ec(pair));
            }
            if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key) {
                return Ok(Pair::Ed(pair));
            }
            rsa(RsaKeyPair::from_pkcs8(key))
        }
        // ring reads PKCS#8 only, which is SEC1 in an envelope (RFC 5915 §4).
        PrivateKeyDer::Sec1(key) => EC
            .iter()
            .find_map(|(prefix, _)| ec(&envelope(prefix, key.secret_sec1_der())))
            .map(Pair::Ec)
            .ok_or(KeyError::Unusable),
        _ => Err(KeyError::Unusable),
    }
}

/// The key of a PKCS#8 document that is for RSA-PSS only (`id-RSASSA-PSS`, RFC 4055 §1.2), which ring does not read; `None` if it is
/// another one.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is bound to one lifetime")]
fn for_pss(der: &PrivateKeyDer<'_>) -> Option<Result<Pair, KeyError>> {
    const ID_RSASSA_PSS: &[u64] = &[1, 2, 840, 113_549, 1, 1, 10];
    let PrivateKeyDer::Pkcs8(key) = der else { return None };
    let parsed = yasna::parse_der(key.secret_pkcs8_der(), |reader| {
        reader.read_sequence(|reader| {
            reader.next().read_u8()?;
            let algorithm = reader.next().read_sequence(|reader| {
                let algorithm = reader.next().read_oid()?;
                reader.read_optional(|reader| reader.read_der())?;
                Ok(algorithm)
            })?;
            let key = Zeroizing::new(reader.next().read_bytes()?);
            reader.read_optional(|reader| reader.read_der())?;
            Ok((algorithm, key))
        })
    });
    let (algorithm, key) = parsed.ok()?;
    (algorithm.components().as_slice() == ID_RSASSA_PSS).then(|| rsa(RsaKeyPair::from_der(&key)))
}

fn rsa(pair: Result<RsaKeyPair, ring::error::KeyRejected>) -> Result<Pair, KeyError> {
    pair.map(Pair::Rsa).map_err(|rejected| match rejected.to_string().as_str() {
        "TooSmall" => KeyError::RsaTooSmall,
        "TooLarge" => KeyError::RsaTooLarge,
        _ => KeyError::Unusable,
    })
}

fn ec(pkcs8: &[u8]) -> Option<EcdsaKeyPair> {
    EC.iter().find_map(|(_, algorithm)| EcdsaKeyPair::from_pkcs8(algorithm, pkcs8, &SystemRandom::new()).ok())
}

/// `SEQUENCE { prefix, OCTET STRING { inner } }`
fn envelope(prefix: &[u8], inner: &[u8]) -> Zeroizing<Vec<u8>> {
    let octets = Zeroizing::new(tagged(0x04, &[inner]));
    Zeroizing::new(tagged(0x30, &[prefix, &octets]))
}

/// DER: tag, length in two bytes, content.
pub(super) fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let head: &[u8] = match length {
        [0, short @ ..] if short[0] < 0x80 => &[tag, short[0]],
        [0, long] => &[tag, 0x81, long],
        [high, low] => &[tag, 0x82, high, low],
    };
    // Allocated once, because the memory that a growing vector leaves behind is not wiped.
    let mut out = Vec::with_capacity(head.len() + parts.iter().map(|part| part.len()).sum::<usize>());
    out.extend_from_slice(head);
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// Why a text is not a usable signing key. The message contains nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No private key in PEM.
    #[error(
        "no private key found; expected PEM (`-----BEGIN PRIVATE KEY-----`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`)"
    )]
    NotPem,
    /// A byte order mark, or another invisible character.
    #[error("the private key contains {0}")]
    Character(Character),
    /// Encrypted with a passphrase.
    #[error(
        "the private key is encrypted with a passphrase, which is not supported; \
         decrypt it with `openssl pkey -in KEY -out NEW`"
    )]
    Encrypted,
    /// A certificate.
    #[error("found a certificate, not a private key; use the file of the key")]
    Certificate,
    /// A public key.
    #[error("found a public key, not a private key")]
    Public,
    /// The key format of OpenSSH.
    #[error("the key has the format of OpenSSH; `ssh-keygen -p -m PKCS8 -f KEY` converts it to PEM")]
    OpenSsh,
    /// A private key that ring does not support.
    #[error(
        "unsupported private key; supported: RSA (2048 to 4096 bits), elliptic curves (P-256, P-384), Ed25519; \
         `openssl pkey -in KEY -out NEW` repairs a key without its public half"
    )]
    Unusable,
    /// RSA of less than 2048 bits.
    #[error("the RSA key is too short: at least 2048 bits are required")]
    RsaTooSmall,
    /// RSA of more than 4096 bits.
    #[error("the RSA key is too long: at most 4096 bits are supported")]
    RsaTooLarge,
    /// The algorithm requires another kind of key.
    #[error("the kind of the private key is {kind}, but {algorithm} requires {takes}")]
    Unsuitable {
        /// The kind of the key.
        kind: &'static str,
        /// The algorithm.
        algorithm: &'static str,
        /// The kind that the algorithm requires.
        takes: &'static str,
    },
    /// The system has no random numbers.
    #[error("cannot generate a key: the system provides no random numbers")]
    NoRandomness,
}

/// Signing failed because the system provides no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("signing failed: the system provides no random numbers")]
pub struct SigningError;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::process::Command;

    /// A key as operators make one.
    fn openssl(arguments: &str) -> String {
        let output = Command::new("openssl").args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn signing_key_is_read_with_its_default_algorithm() {
        for (arguments, algorithm) in [
            ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", Algorithm::Rs256),
            ("genrsa -traditional 2048", Algorithm::Rs256),
            ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256", Algorithm::Es256),
            ("ecparam -genkey -noout -name prime256v1", Algorithm::Es256),
            ("ecparam -genkey -name prime256v1", Algorithm::Es256),
            ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384", Algorithm::Es384),
            ("ecparam -genkey -noout -name secp384r1", Algorithm::Es384),
            ("genpkey -algorithm ED25519", Algorithm::EdDsa),
            ("genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048", Algorithm::Ps256),
        ] {
            let pem = openssl(arguments);
            let key = SigningKey::from_pem(&pem, None).unwrap_or_else(|error| panic!("{arguments}: {error}"));
            assert_eq!(key.algorithm(), algorithm, "{arguments}");
            assert!(!key.sign(b"message").unwrap().is_empty());
            assert_eq!(key, SigningKey::from_pem(&format!("a comment\n{pem}"), Some(algorithm)).unwrap());
            assert_eq!(format!("{key:?}"), format!("{} ****", algorithm.as_str()));
        }
    }

    #[test]
    fn signing_key_text_may_have_escaped_newlines() {
        let pem = openssl("genpkey -algorithm ED25519");
        let key =
            |text: &str| SigningKey::from_text(&SecretText::verbatim(Zeroizing::new(text.to_owned())), None);
        assert_eq!(key(&pem).unwrap(), key(pem.trim_end().replace('\n', "\\n").as_str()).unwrap());
        assert_eq!(
            key(&format!("\u{feff}{pem}")).unwrap_err().to_string(),
            "the private key contains the invisible character U+FEFF (byte order mark) at position 1"
        );
    }

    #[test]
    fn signing_key_errors_are_distinguished() {
        let pem = |arguments| SigningKey::from_pem(&openssl(arguments), None).unwrap_err();
        assert_eq!(pem("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024"), KeyError::RsaTooSmall);
        assert_eq!(pem("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521"), KeyError::Unusable);
        assert_eq!(pem("genrsa -aes128 -passout pass:x 2048"), KeyError::Encrypted);
        assert_eq!(SigningKey::from_pem("hunter2", None).unwrap_err(), KeyError::NotPem);
        let begin = |kind| format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n");
        for (kind, error) in [
            ("CERTIFICATE", KeyError::Certificate),
            ("PUBLIC KEY", KeyError::Public),
            ("OPENSSH PRIVATE KEY", KeyError::OpenSsh),
            ("PRIVATE KEY", KeyError::Unusable),
            ("EC PRIVATE KEY", KeyError::Unusable),
            ("RSA PRIVATE KEY", KeyError::Unusable),
        ] {
            assert_eq!(SigningKey::from_pem(&begin(kind), None).unwrap_err(), error, "{kind}");
        }
        let ed = openssl("genpkey -algorithm ED25519");
        let error = SigningKey::from_pem(&ed, Some(Algorithm::Rs256)).unwrap_err().to_string();
        assert_eq!(error, "the kind of the private key is Ed25519, but RS256 requires RSA");
        let pss = openssl("genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048");
        let error = SigningKey::from_pem(&pss, Some(Algorithm::Rs256)).unwrap_err().to_string();
        assert_eq!(error, "the kind of the private key is RSA-PSS, but RS256 requires RSA");
        assert!(SigningKey::from_pem(&pss, Some(Algorithm::Ps512)).is_ok());
    }

    #[test]
    fn signing_keys_are_equal_only_if_the_same() {
        let secret = |text: &str| Secret::new(text.into()).unwrap();
        let key = |text, algorithm| SigningKey::shared(&secret(text), algorithm);
        assert_eq!(key("a", Algorithm::Hs256), key("a", Algorithm::Hs256));
        assert_ne!(key("a", Algorithm::Hs256), key("b", Algorithm::Hs256));
        assert_ne!(key("a", Algorithm::Hs256), key("a", Algorithm::Hs512));
        assert_ne!(SigningKey::ephemeral().unwrap(), SigningKey::ephemeral().unwrap());
        assert_eq!(key("a", Algorithm::Hs256).public(), None);
    }
}
