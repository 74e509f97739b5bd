//! A certificate with its key, made by a CA whose key is forgotten at once: who reads the Secret of the
//! replicas can present this certificate, and sign none.

use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::config::Host;
use crate::tls::new_ca;

/// Time by which the start of validity is in the past, for API servers whose clock is slow.
const BACKDATE: Duration = Duration::from_secs(3600);

/// A certificate and its key, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// The certificate.
    pub(super) certificate: String,
    /// Its private key.
    pub(super) key: Zeroizing<String>,
}

/// A new certificate, and the CA that signed it.
pub(super) struct Issued {
    /// The certificate and its key.
    pub(super) pair: Pair,
    /// The certificate of the CA.
    pub(super) ca: CertificateDer<'static>,
}

/// Makes a certificate for a DNS name that is valid for this time.
pub(super) fn issue(name: &str, now: SystemTime, lifetime: Duration) -> Result<Issued, rcgen::Error> {
    let valid = now - BACKDATE..now + lifetime;
    let hosts = [Host::Name(name.to_owned())];
    let ca = new_ca::generate("Sidekey webhook CA", Some(&hosts), valid.clone())?;
    let mut params = CertificateParams::default();
    params.not_before = valid.start.into();
    params.not_after = valid.end.into();
    params.subject_alt_names = vec![SanType::DnsName(name.try_into()?)];
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Sidekey webhook");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &ca)?.pem();
    let pair = Pair { certificate, key: Zeroizing::new(key.serialize_pem()) };
    Ok(Issued { pair, ca: ca.der().clone() })
}
