//! What signs, read from DER.

use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature;
use ring::signature::{EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

use super::error::KeyError;

/// A private key, or a shared secret.
pub(super) enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Hmac(hmac::Key),
}

/// For each curve the start of a PKCS#8 document (version, then `id-ecPublicKey` with the curve), and the
/// algorithm.
pub(super) const EC: [(&[u8], &EcdsaSigningAlgorithm); 2] = [
    (
        b"\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
        &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
    ),
    (
        b"\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22",
        &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
    ),
];

pub(super) fn pair(der: &PrivateKeyDer<'_>) -> Result<Pair, KeyError> {
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
pub(super) fn for_pss(der: &PrivateKeyDer<'_>) -> Option<Result<Pair, KeyError>> {
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
pub(in crate::secret) fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
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
