//! The key of Signature Version 4a: a pair for ECDSA on P-256, derived from an access key. One signature is valid in
//! several regions.
//!
//! The derivation is that of NIST SP 800-108 in counter mode, and the private key is chosen as FIPS 186-4 §B.4.2 does:
//! a candidate that is too large is followed by the next one.

use p256::SecretKey;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use zeroize::Zeroizing;

/// The name of the algorithm.
pub(super) const ALGORITHM: &str = "AWS4-ECDSA-P256-SHA256";

/// The order of the curve minus two (SEC 2 §2.4.2).
const ORDER_MINUS_TWO: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x4f,
];

/// A pair of keys.
pub(super) struct KeyPair {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl KeyPair {
    /// Derives the pair of an access key; `None` if the machine has no random numbers.
    pub(super) fn derive(access_key_id: &str, secret_access_key: &str) -> Option<Self> {
        let private = private_key(access_key_id, secret_access_key)?;
        let public = SecretKey::from_slice(&*private).ok()?.public_key().to_encoded_point(false);
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &*private,
            public.as_bytes(),
            &random,
        );
        Some(Self { pair: pair.ok()?, random })
    }

    /// The signature of a text, in DER; `None` if the machine has no random numbers.
    pub(super) fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.pair.sign(&self.random, text).ok().map(|signature| signature.as_ref().to_vec())
    }
}

/// Derives the private key. The first of the 254 candidates fails once in 2³² access keys.
fn private_key(access_key_id: &str, secret_access_key: &str) -> Option<Zeroizing<[u8; 32]>> {
    let secret = Zeroizing::new(format!("AWS4A{secret_access_key}"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    (1..=254).find_map(|counter| {
        let mut context = hmac::Context::with_key(&key);
        context.update(&1_u32.to_be_bytes());
        context.update(ALGORITHM.as_bytes());
        context.update(&[0]);
        context.update(access_key_id.as_bytes());
        context.update(&[counter]);
        context.update(&256_u32.to_be_bytes());
        let mut candidate = Zeroizing::new([0; 32]);
        candidate.copy_from_slice(context.sign().as_ref());
        (*candidate <= ORDER_MINUS_TWO).then(|| plus_one(candidate))
    })
}

fn plus_one(mut number: Zeroizing<[u8; 32]>) -> Zeroizing<[u8; 32]> {
    for byte in number.iter_mut().rev() {
        let (sum, is_carried) = byte.overflowing_add(1);
        *byte = sum;
        if !is_carried {
            break;
        }
    }
    number
}

#[cfg(test)]
impl KeyPair {
    /// The public key: 4, and both coordinates.
    pub(super) fn public_key(&self) -> &[u8] {
        use ring::signature::KeyPair as _;
        self.pair.public_key().as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_grows_over_its_bytes() {
        let mut number = Zeroizing::new([0; 32]);
        number[30..].copy_from_slice(&[0, 0xff]);
        assert_eq!(plus_one(number)[29..], [0, 1, 0]);
    }
}
