//! When the certificate ends that a server presented last.

use std::io;

use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error};

use super::error_text::tls_error;
use super::expiry::not_after;

/// The certificate that a server presented in its last handshake. It is read when a connection is opened, and parsed if it is
/// another one than before.
#[derive(Debug, Default)]
pub(crate) struct PresentedCertificate(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    certificate: Option<CertificateDer<'static>>,
    /// `notAfter`, in seconds of Unix time.
    end: Option<f64>,
}

impl PresentedCertificate {
    /// Records the chain of a handshake that succeeded. Only its first certificate counts.
    pub(crate) fn record(&self, chain: Option<&[CertificateDer<'_>]>) {
        let Some(first) = chain.and_then(<[_]>::first) else { return };
        let mut seen = self.0.lock();
        if seen.certificate.as_ref().is_none_or(|known| known != first) {
            *seen = Seen { certificate: Some(first.clone().into_owned()), end: not_after(first) };
        }
    }

    /// Records a handshake that failed, if it failed because the certificate had expired.
    pub(crate) fn record_failure(&self, error: &io::Error) {
        if let Some(end) = expired_at(error) {
            *self.0.lock() = Seen { certificate: None, end: Some(end) };
        }
    }

    /// When it ends, in seconds of Unix time; `None` if none was seen.
    pub(crate) fn end(&self) -> Option<f64> {
        self.0.lock().end
    }
}

/// When the certificate ended, if the error is that it has ended. In seconds of Unix time.
pub(crate) fn expired_at(error: &(dyn std::error::Error + 'static)) -> Option<f64> {
    match tls_error(error)? {
        Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) =>
        {
            #[expect(clippy::cast_precision_loss, reason = "exact until long after the year 9999")]
            Some(not_after.as_secs() as f64)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rustls::pki_types::UnixTime;

    use super::*;

    fn ending_in(year: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().into()
    }

    #[test]
    fn end_is_that_of_the_last_certificate() {
        let presented = PresentedCertificate::default();
        presented.record(None);
        presented.record(Some(&[]));
        assert_eq!(presented.end(), None);
        presented.record(Some(&[ending_in(2040), ending_in(2050)]));
        assert_eq!(presented.end(), Some(2_208_988_800.0), "the first one of the chain");
        presented.record(Some(&[ending_in(2050)]));
        assert_eq!(presented.end(), Some(2_524_608_000.0));
        presented.record(Some(&[CertificateDer::from(vec![0])]));
        assert_eq!(presented.end(), None, "one that cannot be read has no end");
    }

    #[test]
    fn end_is_known_of_a_certificate_that_was_rejected_because_it_ended() {
        let presented = PresentedCertificate::default();
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let reason =
            CertificateError::ExpiredContext { time: at(2_000_000_000), not_after: at(1_000_000_000) };
        presented.record_failure(&io::Error::other(Error::from(reason)));
        assert_eq!(presented.end(), Some(1_000_000_000.0));
        presented.record_failure(&io::Error::other(Error::from(CertificateError::UnknownIssuer)));
        presented.record_failure(&io::Error::other("reset"));
        assert_eq!(presented.end(), Some(1_000_000_000.0), "other failures say nothing about it");
    }
}
