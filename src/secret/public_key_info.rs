//! A public key as `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7) in DER: what fingerprints of keys are made of.

use super::signing_key::{PublicKey, tagged};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// `rsaEncryption`, NULL (RFC 3279 §2.3.1).
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
/// `id-ecPublicKey` with `prime256v1` (RFC 5480 §2.1.1).
const P256: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
/// `id-ecPublicKey` with `secp384r1`.
const P384: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
/// `id-Ed25519` (RFC 8410 §3).
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";

impl PublicKey<'_> {
    /// The key as `SubjectPublicKeyInfo` in DER.
    pub fn to_info(&self) -> Vec<u8> {
        let (algorithm, key) = match self {
            Self::Rsa { modulus, exponent } => {
                (RSA, tagged(SEQUENCE, &[&integer(modulus), &integer(exponent)]))
            }
            // Not compressed (SEC 1 §2.3.3).
            Self::Ec { curve, x, y } => {
                (if *curve == "P-256" { P256 } else { P384 }, [&[4], &**x, &**y].concat())
            }
            Self::Ed25519(x) => (ED25519, x.to_vec()),
        };
        tagged(SEQUENCE, &[&tagged(SEQUENCE, &[algorithm]), &tagged(BIT_STRING, &[&[0], &key])])
    }
}

/// A number that is not negative: a first bit that is set would be a sign.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let is_signed = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    tagged(INTEGER, &[if is_signed { &[0] } else { &[] }, bytes])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;
    use std::process::{Command, Stdio};

    use crate::secret::SigningKey;

    fn openssl(arguments: &str, input: &[u8]) -> Vec<u8> {
        let command = Command::new("openssl")
            .args(arguments.split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut openssl = command.unwrap();
        openssl.stdin.take().unwrap().write_all(input).unwrap();
        let output = openssl.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments}");
        output.stdout
    }

    #[test]
    fn public_key_info_is_that_of_openssl() {
        for made in [
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048",
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
            "genpkey -algorithm ED25519",
        ] {
            let pem = openssl(made, b"");
            let key = SigningKey::from_pem(std::str::from_utf8(&pem).unwrap(), None).unwrap();
            assert_eq!(key.public().unwrap().to_info(), openssl("pkey -pubout -outform DER", &pem), "{made}");
        }
    }
}
