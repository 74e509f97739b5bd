//! The text of an error of TLS. rustls gives the dates of certificates in seconds since 1970, and shows some
//! errors as a program sees them.

use std::error::Error;
use std::io;

use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use crate::config::{SUPPORTED_KEYS, rfc3339};

/// The text of an error that may be, or wrap, one of TLS.
pub(crate) fn error_text(error: &(dyn Error + 'static)) -> String {
    match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(reason)) => {
            format!("invalid peer certificate: {}", text(reason))
        }
        Some(error) => error.to_string(),
        None => error.to_string(),
    }
}

/// The error of TLS that an error is, or that it wraps as I/O errors do.
pub(crate) fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    tls_error(inner)
}

fn text(reason: &CertificateError) -> String {
    use CertificateError as E;
    match reason {
        E::ExpiredContext { time, not_after } => {
            format!(
                "certificate expired: it was valid until {}, and now it is {}",
                date(*not_after),
                date(*time)
            )
        }
        E::NotValidYetContext { time, not_before } => {
            format!(
                "certificate not valid yet: it is valid from {}, and now it is {}",
                date(*not_before),
                date(*time)
            )
        }
        E::ExpiredRevocationListContext { time, next_update } => format!(
            "certificate revocation list expired: it was valid until {}, and now it is {}",
            date(*next_update),
            date(*time)
        ),
        E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            format!("it has a key or a signature of an unsupported kind (supported: {SUPPORTED_KEYS})")
        }
        // The names of webpki's errors.
        E::Other(other) => other.0.to_string(),
        other => other.to_string(),
    }
}

fn date(time: UnixTime) -> String {
    rfc3339(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn dates_are_rfc_3339_however_the_error_is_wrapped() {
        let (time, date) = (at(1_009_843_200), at(978_307_200));
        for (reason, expected) in [
            (
                CertificateError::ExpiredContext { time, not_after: date },
                "certificate expired: it was valid until 2001-01-01T00:00:00Z, and now it is 2002-01-01T00:00:00Z",
            ),
            (
                CertificateError::NotValidYetContext { time: date, not_before: time },
                "certificate not valid yet: it is valid from 2002-01-01T00:00:00Z, and now it is 2001-01-01T00:00:00Z",
            ),
        ] {
            let error = rustls::Error::from(reason);
            assert_eq!(error_text(&error), format!("invalid peer certificate: {expected}"));
            let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error));
            assert_eq!(error_text(&wrapped), format!("invalid peer certificate: {expected}"));
        }
    }

    #[test]
    fn other_errors_keep_their_text() {
        let error = rustls::Error::from(CertificateError::UnknownIssuer);
        assert_eq!(error_text(&error), "invalid peer certificate: UnknownIssuer");
        assert_eq!(error_text(&io::Error::other("x")), "x");
        let error = rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure);
        assert_eq!(error_text(&error), error.to_string());
    }
}
