//! The signatures of a TLS handshake, which every verifier checks in the same way.
//!
//! rustls checks them by the key of an X.509 certificate of version 3. One of version 1, as `openssl x509 -req` without
//! extensions makes it, is checked by its key alone.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved};
use x509_parser::certificate::X509Certificate;
use x509_parser::x509::X509Version;

/// Checks the signature of a handshake of TLS 1.2.
pub(crate) fn verify_tls12(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let Some(certificate) = of_version_1(certificate) else {
        return verify_tls12_signature(message, certificate, signature, algorithms);
    };
    let key = &certificate.public_key().subject_public_key.data;
    let for_scheme = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
    let (_, algorithms) = for_scheme.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    let is_valid =
        algorithms.iter().any(|it| it.verify_signature(key, message, signature.signature()).is_ok());
    if is_valid {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

/// Checks the signature of a handshake of TLS 1.3.
pub(crate) fn verify_tls13(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    match of_version_1(certificate) {
        Some(certificate) => {
            let key = SubjectPublicKeyInfoDer::from(certificate.public_key().raw);
            verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
        }
        None => verify_tls13_signature(message, certificate, signature, algorithms),
    }
}

fn of_version_1<'c>(certificate: &'c CertificateDer<'_>) -> Option<X509Certificate<'c>> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    (certificate.version() == X509Version::V1).then_some(certificate)
}

/// Implements the methods about signatures of `ServerCertVerifier` and `ClientCertVerifier` with the
/// `CryptoProvider` of a field.
macro_rules! verify_signatures {
    ($provider:tt) => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &::rustls::pki_types::CertificateDer<'_>,
            signature: &::rustls::DigitallySignedStruct,
        ) -> Result<::rustls::client::danger::HandshakeSignatureValid, ::rustls::Error> {
            let algorithms = &self.$provider.signature_verification_algorithms;
            $crate::config::verify_tls12(message, certificate, signature, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &::rustls::pki_types::CertificateDer<'_>,
            signature: &::rustls::DigitallySignedStruct,
        ) -> Result<::rustls::client::danger::HandshakeSignatureValid, ::rustls::Error> {
            let algorithms = &self.$provider.signature_verification_algorithms;
            $crate::config::verify_tls13(message, certificate, signature, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<::rustls::SignatureScheme> {
            self.$provider.signature_verification_algorithms.supported_schemes()
        }
    };
}
pub(crate) use verify_signatures;
