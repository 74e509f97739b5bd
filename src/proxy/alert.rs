//! What a TLS error means, in words for whoever has to mend it.

use std::io;

use rustls::{AlertDescription, Error};

use super::error::{ErrorReason, ProxyError};

/// The failure, where it was TLS that ended the connection.
pub(super) fn rejection(error: &io::Error) -> Option<ProxyError> {
    let tls = error.get_ref()?.downcast_ref::<Error>()?;
    let hint = match tls {
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "; it wants a client certificate (`tls.cert_file`, `tls.key_file`)"
        }
        Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError,
        ) => "; it does not take the client certificate (`tls.cert_file`), or wants one",
        _ => "",
    };
    Some(ProxyError::new(ErrorReason::UpstreamTls, format!("the upstream ended TLS: {tls}{hint}")))
}
