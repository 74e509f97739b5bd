//! The certificates of a `ca_file` or `client_ca_file`: CAs that certificates are verified with, and
//! certificates that are trusted as themselves.
//!
//! A peer that shows exactly a certificate of the file is trusted without an issuer, as curl, Python and Node
//! do: a self-signed certificate has none. Its dates, its purpose and the name of a server are verified
//! nevertheless. The key of a certificate that is not a CA's signs no other one.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DistinguishedName, Error, ExtendedKeyPurpose, RootCertStore};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ExtendedKeyUsage;
use x509_parser::x509::X509Version;

/// Certificates that are trusted.
#[derive(Clone)]
pub struct TrustedCertificates {
    /// Those that may sign others.
    issuers: Arc<RootCertStore>,
    certificates: HashSet<Vec<u8>>,
    subjects: Vec<DistinguishedName>,
}

/// A certificate that cannot be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnparsableCertificate {
    /// Its number, from 1.
    pub(crate) number: usize,
}

impl TrustedCertificates {
    /// The certificates of a file.
    pub(crate) fn new(certificates: &[CertificateDer<'static>]) -> Result<Self, UnparsableCertificate> {
        let (mut all, mut issuers) = (RootCertStore::empty(), RootCertStore::empty());
        for (index, certificate) in certificates.iter().enumerate() {
            let unparsable = |_| UnparsableCertificate { number: index + 1 };
            all.add(certificate.clone()).map_err(unparsable)?;
            if may_sign(certificate) {
                issuers.add(certificate.clone()).map_err(unparsable)?;
            }
        }
        let certificates = certificates.iter().map(|certificate| certificate.to_vec()).collect();
        Ok(Self { issuers: Arc::new(issuers), certificates, subjects: all.subjects() })
    }

    /// The roots of the machine; those that cannot be parsed are left out.
    pub fn of_machine(certificates: &[CertificateDer<'static>]) -> Self {
        let mut issuers = RootCertStore::empty();
        issuers.add_parsable_certificates(certificates.iter().cloned());
        let certificates = certificates.iter().map(|certificate| certificate.to_vec()).collect();
        let subjects = issuers.subjects();
        Self { issuers: Arc::new(issuers), certificates, subjects }
    }

    /// Whether nothing is trusted.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// The certificates that may sign others.
    pub(crate) fn issuers(&self) -> Arc<RootCertStore> {
        self.issuers.clone()
    }

    /// The subjects of all certificates: a peer may choose by them which certificate it shows.
    pub(crate) fn subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    /// Verifies a server that shows one of these certificates; `None` if it shows another one.
    pub(crate) fn verify_server(
        &self,
        shown: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Option<Result<(), Error>> {
        let certificate = self.parsed(shown)?;
        let verified = verify_dates(&certificate, now)
            .and_then(|()| verify_purpose(&certificate, &ExtendedKeyPurpose::ServerAuth))
            .and_then(|()| match common_name_without_alternative(&certificate) {
                Some(common_name) if common_name.eq_ignore_ascii_case(&name.to_str()) => Ok(()),
                // It has no extensions, and so no other name.
                _ if certificate.version() == X509Version::V1 => {
                    Err(CertificateError::NotValidForName.into())
                }
                _ => verify_server_name(&ParsedCertificate::try_from(shown)?, name),
            });
        Some(verified)
    }

    /// Verifies a client that shows one of these certificates; `None` if it shows another one.
    pub(crate) fn verify_client(
        &self,
        shown: &CertificateDer<'_>,
        now: UnixTime,
    ) -> Option<Result<(), Error>> {
        let certificate = self.parsed(shown)?;
        let verified = verify_dates(&certificate, now)
            .and_then(|()| verify_purpose(&certificate, &ExtendedKeyPurpose::ClientAuth));
        Some(verified)
    }

    fn parsed<'c>(&self, shown: &'c CertificateDer<'_>) -> Option<X509Certificate<'c>> {
        if !self.certificates.contains(&**shown) {
            return None;
        }
        x509_parser::parse_x509_certificate(shown).ok().map(|(_, certificate)| certificate)
    }
}

/// Without the certificates, which are long.
impl fmt::Debug for TrustedCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedCertificates").field("count", &self.certificates.len()).finish_non_exhaustive()
    }
}

/// Whether the key of a certificate may sign others (RFC 5280 §4.2.1.3, §4.2.1.9). A CA of before these
/// extensions has neither.
fn may_sign(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else { return true };
    let is_ca = certificate.basic_constraints().is_ok_and(|it| it.is_none_or(|it| it.value.ca));
    is_ca && certificate.key_usage().is_ok_and(|it| it.is_none_or(|it| it.value.key_cert_sign()))
}

fn verify_dates(certificate: &X509Certificate<'_>, time: UnixTime) -> Result<(), Error> {
    let at = |seconds: i64| {
        UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
    };
    let validity = certificate.validity();
    let (not_before, not_after) = (at(validity.not_before.timestamp()), at(validity.not_after.timestamp()));
    if time < not_before {
        return Err(CertificateError::NotValidYetContext { time, not_before }.into());
    }
    if time > not_after {
        return Err(CertificateError::ExpiredContext { time, not_after }.into());
    }
    Ok(())
}

/// Whether the extended key usage (RFC 5280 §4.2.1.12) allows the purpose. A certificate without it is for
/// any.
fn verify_purpose(certificate: &X509Certificate<'_>, purpose: &ExtendedKeyPurpose) -> Result<(), Error> {
    let allows = |usage: &ExtendedKeyUsage<'_>| match purpose {
        ExtendedKeyPurpose::ServerAuth => usage.any || usage.server_auth,
        _ => usage.any || usage.client_auth,
    };
    match certificate.extended_key_usage() {
        Ok(usage) if usage.as_ref().is_none_or(|usage| allows(usage.value)) => Ok(()),
        Ok(_) => Err(CertificateError::InvalidPurpose.into()),
        Err(_) => Err(CertificateError::BadEncoding.into()),
    }
}

/// The name of a certificate without alternative names, as older commands make it. Only a certificate that is
/// trusted as itself is verified by it (RFC 6125 §6.4.4).
fn common_name_without_alternative<'c>(certificate: &'c X509Certificate<'_>) -> Option<&'c str> {
    if !matches!(certificate.subject_alternative_name(), Ok(None)) {
        return None;
    }
    let mut names = certificate.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(name), None) => name.as_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
        date_time_ymd,
    };

    use super::*;

    fn made(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["api.example".to_owned()]).unwrap();
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn at(year: i32) -> UnixTime {
        let seconds = date_time_ymd(year, 6, 1).unix_timestamp();
        UnixTime::since_unix_epoch(Duration::from_secs(seconds.try_into().unwrap()))
    }

    fn verify(certificate: &CertificateDer<'static>, name: &str, year: i32) -> Option<Result<(), Error>> {
        let trusted = TrustedCertificates::new(std::slice::from_ref(certificate)).unwrap();
        trusted.verify_server(certificate, &ServerName::try_from(name.to_owned()).unwrap(), at(year))
    }

    #[test]
    fn certificate_is_trusted_as_itself_with_its_dates_and_name() {
        let kinds: [fn(&mut CertificateParams); 4] = [
            |_| (),
            |params| params.is_ca = IsCa::ExplicitNoCa,
            |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            |params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            },
        ];
        for kind in kinds {
            let certificate = made(|params| {
                kind(params);
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2030, 1, 1);
            });
            assert_eq!(verify(&certificate, "api.example", 2026), Some(Ok(())));
            assert!(matches!(
                verify(&certificate, "other.example", 2026),
                Some(Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })))
            ));
            assert!(matches!(
                verify(&certificate, "api.example", 2031),
                Some(Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. })))
            ));
            assert!(matches!(
                verify(&certificate, "api.example", 2019),
                Some(Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { .. })))
            ));
        }
    }

    #[test]
    fn other_certificate_of_the_same_name_is_not_pinned() {
        let trusted = TrustedCertificates::new(&[made(|_| ())]).unwrap();
        let name = ServerName::try_from("api.example").unwrap();
        assert_eq!(trusted.verify_server(&made(|_| ()), &name, at(2026)), None);
        assert_eq!(trusted.verify_client(&made(|_| ()), at(2026)), None);
    }

    #[test]
    fn purpose_must_allow_the_side() {
        let only = |purpose: ExtendedKeyUsagePurpose| made(|it| it.extended_key_usages = vec![purpose]);
        for (purpose, server, client) in [
            (ExtendedKeyUsagePurpose::ServerAuth, true, false),
            (ExtendedKeyUsagePurpose::ClientAuth, false, true),
            (ExtendedKeyUsagePurpose::Any, true, true),
            (ExtendedKeyUsagePurpose::CodeSigning, false, false),
        ] {
            let certificate = only(purpose.clone());
            let trusted = TrustedCertificates::new(std::slice::from_ref(&certificate)).unwrap();
            let as_client = trusted.verify_client(&certificate, at(2026)).unwrap();
            let as_server = verify(&certificate, "api.example", 2026).unwrap();
            assert_eq!((as_server.is_ok(), as_client.is_ok()), (server, client), "{purpose:?}");
        }
    }

    #[test]
    fn common_name_counts_without_alternative_names_only() {
        let named = |alternative: &[&str]| {
            made(|params| {
                params.subject_alt_names = alternative
                    .iter()
                    .map(|name| rcgen::SanType::DnsName((*name).try_into().unwrap()))
                    .collect();
                params.distinguished_name.push(DnType::CommonName, "API.example");
            })
        };
        assert_eq!(verify(&named(&[]), "api.example", 2026), Some(Ok(())));
        assert!(verify(&named(&[]), "b.api.example", 2026).unwrap().is_err());
        assert!(verify(&named(&["b.example"]), "api.example", 2026).unwrap().is_err());
        assert_eq!(verify(&named(&["b.example"]), "b.example", 2026), Some(Ok(())));
    }

    #[test]
    fn only_a_ca_signs_others() {
        let issuers = |change: fn(&mut CertificateParams)| {
            TrustedCertificates::new(&[made(change)]).unwrap().issuers().len()
        };
        assert_eq!(issuers(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), 1);
        assert_eq!(issuers(|_| ()), 1, "a certificate of before the extension");
        assert_eq!(issuers(|params| params.is_ca = IsCa::ExplicitNoCa), 0);
        assert_eq!(
            issuers(|params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            }),
            0
        );
    }
}
