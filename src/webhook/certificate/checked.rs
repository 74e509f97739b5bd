//! Whether a certificate can be used: the key is its own, the name is right, it is valid now, and its CA is
//! one of those that the API server is told to trust.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};

use super::issued::Pair;
use super::trusted::Trusted;
use crate::tls::expiry::not_after;

/// A certificate that can be used.
pub(super) struct Checked {
    /// The TLS that presents it.
    pub(super) tls: ServerConfig,
    /// When it expires.
    pub(super) end: SystemTime,
}

/// Why a certificate cannot be used. Contains nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unusable(String);

impl Checked {
    /// Checks a certificate for a DNS name at a time.
    pub(super) fn new(pair: &Pair, trusted: &Trusted, name: &str, now: SystemTime) -> Result<Self, Unusable> {
        let unusable = |why: &str| Unusable(why.to_owned());
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes())
            .map_err(|_| unusable("it cannot be parsed"))?;
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())
            .map_err(|_| unusable("its key cannot be parsed"))?;
        verify(&certificate, trusted, name, now).map_err(|error| Unusable(error.to_string()))?;
        let end = not_after(&certificate).ok_or_else(|| unusable("it has no end"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let identity = CertifiedKey::from_der(vec![certificate], key, &provider)
            .map_err(|error| Unusable(error.to_string()))?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::new(SingleCertAndKey::from(identity));
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Unusable(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        Ok(Self { tls, end: SystemTime::UNIX_EPOCH + Duration::from_secs_f64(end) })
    }
}

/// Verifies as a client does.
fn verify(
    certificate: &CertificateDer<'_>,
    trusted: &Trusted,
    name: &str,
    now: SystemTime,
) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.certificates().iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let name = ServerName::try_from(name).map_err(|error| rustls::Error::General(error.to_string()))?;
    let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    verifier.verify_server_cert(certificate, &[], &name, &[], now).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::issued::issue;
    use super::*;

    const NAME: &str = "sidekey-webhook.sidekey.svc";
    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn issued_certificate_is_usable_for_its_name_and_time_only() {
        let now = SystemTime::now();
        let (one, other) = (issue(NAME, now, DAY).unwrap(), issue(NAME, now, DAY).unwrap());
        let trusting = |ca: &CertificateDer<'static>| {
            let mut trusted = Trusted::default();
            trusted.add(ca.clone());
            trusted
        };
        let trusted = trusting(&one.ca);
        let why = |pair: &Pair, trusted: &Trusted, name: &str, now: SystemTime| {
            Checked::new(pair, trusted, name, now).err().map(|why| why.to_string())
        };
        let end = Checked::new(&one.pair, &trusted, NAME, now).unwrap().end;
        assert!(end <= now + DAY && end > now + DAY - Duration::from_secs(2));
        let foreign_key = Pair { key: other.pair.key.clone(), ..one.pair.clone() };
        for (wrong, expected) in [
            (why(&one.pair, &trusted, "other.sidekey.svc", now), "not valid for name"),
            (why(&one.pair, &trusted, NAME, now + 2 * DAY), "expired"),
            (why(&one.pair, &trusted, NAME, now - DAY), "not valid yet"),
            (why(&one.pair, &trusting(&other.ca), NAME, now), "UnknownIssuer"),
            (why(&one.pair, &Trusted::default(), NAME, now), "root"),
            (why(&foreign_key, &trusted, NAME, now), "KeyMismatch"),
        ] {
            let wrong = wrong.expect("unusable");
            assert!(wrong.contains(expected), "{wrong}");
        }
    }

    #[test]
    fn garbage_is_unusable_and_its_key_is_not_shown() {
        let now = SystemTime::now();
        let made = issue(NAME, now, DAY).unwrap();
        let mut trusted = Trusted::read(b"no PEM");
        assert!(trusted.certificates().is_empty());
        trusted.add(made.ca);
        let Pair { certificate, key } = made.pair;
        let pair = |certificate: &str, key: &str| Pair {
            certificate: certificate.into(),
            key: key.to_owned().into(),
        };
        for broken in
            [pair("", &key), pair(&certificate, ""), pair(&key, &certificate), pair(&certificate, &key[..60])]
        {
            let Err(why) = Checked::new(&broken, &trusted, NAME, now) else { panic!("usable") };
            assert!(!key.lines().skip(1).any(|line| why.to_string().contains(line)), "{why}");
        }
    }
}
