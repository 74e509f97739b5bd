//! The public half of a signing key.

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
