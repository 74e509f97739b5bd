//! Signing keys, read from PEM or made from a shared secret. The algorithm is checked once, when the key is
//! read. The key cannot be read again, so no code can print it.

mod algorithm;
mod error;
mod pair;
mod public_key;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair as _, RsaPublicKeyComponents};
use ring::{digest, hmac};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::{Zeroize, Zeroizing};

use self::algorithm::{ED25519, P256, P384, RSA, RSA_PSS};
use self::pair::{EC, Pair, for_pss, pair};
use super::invisible::{Character, is_invisible};
use super::{Secret, SecretText};

pub use self::algorithm::Algorithm;
pub use self::error::{KeyError, SigningError};
pub(super) use self::pair::tagged;
pub use self::public_key::PublicKey;

/// What is wrong with a text that is no PEM of a private key.
fn not_pem(text: &str) -> KeyError {
    if text.trim().is_empty() {
        return KeyError::Empty;
    }
    if text.contains("PRIVATE KEY-----") {
        let is_boundary = |line: &str| line.starts_with("-----") && line.trim_end().ends_with("-----");
        let boundaries = text.lines().filter(|line| is_boundary(line)).count();
        return if boundaries < 2 { KeyError::Lines } else { KeyError::NotPem };
    }
    let mut base64 = Zeroizing::new(Vec::with_capacity(text.len()));
    base64.extend(text.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let decoded = STANDARD.decode(&*base64).map(Zeroizing::new).unwrap_or_default();
    match decoded.as_slice() {
        // A SEQUENCE of DER, as long as Ed25519, P-256 (SEC1), and longer keys are.
        [0x30, 0x2e | 0x77 | 0x81 | 0x82, ..] => KeyError::NoBoundaries,
        decoded if memchr::memmem::find(decoded, b"PRIVATE KEY-----").is_some() => KeyError::EncodedTwice,
        _ => KeyError::NotPem,
    }
}

/// A signing key for one algorithm. Clones share the key. Keys with the same content are equal, whatever
/// their source.
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Arc<Pair>,
    /// SHA-256 hash of the source of the key, for comparing and hashing without the key.
    digest: [u8; 32],
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
            Err(_) => return Err(not_pem(pem)),
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
        assert_eq!(SigningKey::from_pem(" \n", None).unwrap_err(), KeyError::Empty);
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
    fn changed_pem_is_told_from_what_is_no_key() {
        let error = |text: &str| SigningKey::from_pem(text, None).unwrap_err();
        for pem in [openssl("genpkey -algorithm RSA"), openssl("genpkey -algorithm ED25519")] {
            let lines: Vec<_> = pem.lines().collect();
            let inner = &lines[1..lines.len() - 1];
            assert_eq!(error(&inner.join("\n")), KeyError::NoBoundaries);
            assert_eq!(error(&inner.concat()), KeyError::NoBoundaries);
            assert_eq!(error(&STANDARD.encode(&pem)), KeyError::EncodedTwice);
            assert_eq!(error(&lines.join(" ")), KeyError::Lines);
            assert_eq!(error(&lines.concat()), KeyError::Lines);
            assert_eq!(error(&format!("  {}", lines.join("\n  "))), KeyError::Lines);
        }
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
