//! The verification of the other side's certificate: the certificates that are trusted as themselves first,
//! then rustls' own verification with the CAs.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DistinguishedName, Error};

use super::signatures::verify_signatures;
use super::trust::TrustedCertificates;

/// Verifies servers.
#[derive(Debug)]
pub struct ServerVerifier {
    trusted: TrustedCertificates,
    /// `None` if no certificate is a CA's.
    by_issuer: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

/// Verifies callers; one without a certificate is rejected.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    trusted: TrustedCertificates,
    /// `None` if no certificate is a CA's.
    by_issuer: Option<Arc<dyn ClientCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerVerifier {
    /// A verifier that trusts these certificates.
    pub fn new(trusted: TrustedCertificates, provider: &Arc<CryptoProvider>) -> Self {
        // Building fails only if there is no CA.
        let by_issuer =
            WebPkiServerVerifier::builder_with_provider(trusted.issuers(), provider.clone()).build().ok();
        Self { trusted, by_issuer, provider: provider.clone() }
    }
}

impl ClientVerifier {
    /// A verifier that trusts these certificates.
    pub(crate) fn new(trusted: TrustedCertificates, provider: &Arc<CryptoProvider>) -> Self {
        // Building fails only if there is no CA.
        let by_issuer =
            WebPkiClientVerifier::builder_with_provider(trusted.issuers(), provider.clone()).build().ok();
        Self { trusted, by_issuer, provider: provider.clone() }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match (self.trusted.verify_server(shown, name, now), &self.by_issuer) {
            (Some(verified), _) => verified.map(|()| ServerCertVerified::assertion()),
            (None, Some(verifier)) => verifier.verify_server_cert(shown, intermediates, name, ocsp, now),
            (None, None) => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    verify_signatures!(provider);
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.trusted.subjects()
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match (self.trusted.verify_client(shown, now), &self.by_issuer) {
            (Some(verified), _) => verified.map(|()| ClientCertVerified::assertion()),
            (None, Some(verifier)) => verifier.verify_client_cert(shown, intermediates, now),
            (None, None) => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    verify_signatures!(provider);
}
