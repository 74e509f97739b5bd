//! The CAs that the API server is to trust: those of the current, the next and previous certificates.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::tls::certificate_pem::pem;
use crate::tls::expiry::not_after;

/// Certificates of CAs, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trusted(Vec<CertificateDer<'static>>);

impl Trusted {
    /// Reads certificates in PEM. What cannot be read is left out.
    pub(super) fn read(text: &[u8]) -> Self {
        let mut trusted = Self::default();
        CertificateDer::pem_slice_iter(text).flatten().for_each(|ca| trusted.add(ca));
        trusted
    }

    /// Adds a CA, unless it is there.
    pub(super) fn add(&mut self, ca: CertificateDer<'static>) {
        if !self.0.contains(&ca) {
            self.0.push(ca);
        }
    }

    /// Removes the CAs that have expired, and what is no certificate.
    pub(super) fn remove_expired(&mut self, now: SystemTime) {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        self.0.retain(|ca| not_after(ca).is_some_and(|end| end >= now));
    }

    /// The certificates in PEM.
    pub(super) fn pem(&self) -> String {
        pem(&self.0)
    }

    /// The certificates in DER.
    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }
}
