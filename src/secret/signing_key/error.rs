//! Why a key cannot be used.

use crate::secret::invisible::Character;

/// Why a text is not a usable signing key. The message contains nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No private key in PEM.
    #[error(
        "no private key found; expected PEM (`-----BEGIN PRIVATE KEY-----`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`)"
    )]
    NotPem,
    /// A text of nothing but whitespace.
    #[error("the private key is empty")]
    Empty,
    /// The content of PEM without its first and its last line.
    #[error(
        "the first and the last line of the private key are missing (`-----BEGIN … PRIVATE KEY-----` and `-----END … PRIVATE KEY-----`)"
    )]
    NoBoundaries,
    /// PEM that is encoded once more.
    #[error(
        "the private key is encoded in Base64 a second time, as in `data` of a Secret; decode it with `base64 -d`"
    )]
    EncodedTwice,
    /// PEM whose lines are not where they must be.
    #[error(
        "the lines of the private key were changed: `-----BEGIN … PRIVATE KEY-----` and `-----END … PRIVATE KEY-----` must stand \
         on lines of their own, without spaces before them"
    )]
    Lines,
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
