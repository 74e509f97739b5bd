//! The kinds of keys that cannot be used: ring, the crypto provider, has no implementation of them.

use rustls::pki_types::CertificateDer;
use x509_parser::public_key::PublicKey;

/// The kinds of keys of certificates that can be used, for messages.
pub(crate) const SUPPORTED_KEYS: &str = "RSA (2048 bits or more), ECDSA (P-256, P-384), Ed25519; not supported: P-521, RSA keys for RSASSA-PSS alone";

/// The curves of elliptic-curve keys (RFC 5480 §2.1.1.1).
const SUPPORTED_CURVES: [&str; 2] = ["1.2.840.10045.3.1.7", "1.3.132.0.34"];
const P521: &str = "1.3.132.0.35";
/// id-RSASSA-PSS (RFC 4055 §3.1): an RSA key that may sign in this way alone.
const RSASSA_PSS: &str = "1.2.840.113549.1.1.10";
/// id-Ed448 (RFC 8410 §3).
const ED448: &str = "1.3.101.113";

/// The kind of the key of a certificate, if no signature of it can be verified.
pub(crate) fn unsupported_key(certificate: &CertificateDer<'_>) -> Option<&'static str> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let key = certificate.public_key();
    let algorithm = key.algorithm.algorithm.to_id_string();
    match key.parsed() {
        _ if algorithm == RSASSA_PSS => Some("an RSA key for RSASSA-PSS alone"),
        Ok(PublicKey::EC(_)) => {
            let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string();
            match curve.as_str() {
                P521 => Some("a P-521 key"),
                curve if SUPPORTED_CURVES.contains(&curve) => None,
                _ => Some("a key on an unusual elliptic curve"),
            }
        }
        Ok(PublicKey::RSA(key)) if key.key_size() < 2048 => Some("an RSA key of less than 2048 bits"),
        Ok(PublicKey::DSA(_)) => Some("a DSA key"),
        _ if algorithm == ED448 => Some("an Ed448 key"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use rustls::pki_types::pem::PemObject;

    use super::*;

    fn made(algorithm: &[&str]) -> CertificateDer<'static> {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=a", "-newkey"]);
        let output = command.args(algorithm).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        CertificateDer::from_pem_slice(&output.stdout).unwrap()
    }

    #[test]
    fn unsupported_keys_are_named() {
        let ec = |curve: &str| made(&["ec", "-pkeyopt", &format!("ec_paramgen_curve:{curve}")]);
        for supported in [ec("P-256"), ec("P-384"), made(&["rsa:2048"]), made(&["ed25519"])] {
            assert_eq!(unsupported_key(&supported), None);
        }
        assert_eq!(unsupported_key(&ec("P-521")), Some("a P-521 key"));
        assert_eq!(unsupported_key(&ec("secp256k1")), Some("a key on an unusual elliptic curve"));
        assert_eq!(unsupported_key(&made(&["rsa:1024"])), Some("an RSA key of less than 2048 bits"));
        assert_eq!(unsupported_key(&made(&["rsa-pss"])), Some("an RSA key for RSASSA-PSS alone"));
        assert_eq!(unsupported_key(&made(&["rsa:2048", "-sigopt", "rsa_padding_mode:pss"])), None);
        assert_eq!(unsupported_key(&made(&["ed448"])), Some("an Ed448 key"));
    }
}
