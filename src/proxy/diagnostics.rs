//! What a response, or the end of a TLS connection, says of the configuration.

use std::io;

use rustls::{AlertDescription, Error};

use super::error::{ErrorReason, ProxyError};
use crate::upstream::Endpoint;

/// How servers put it when they are spoken to without TLS where they want it.
const PLAIN_HTTP_TO_TLS_MESSAGES: [&str; 4] = [
    // nginx
    "plain HTTP request was sent to HTTPS port",
    // Go
    "HTTP request to an HTTPS server",
    // Apache
    "plain HTTP to an SSL-enabled server port",
    // Tomcat
    "This combination of host and port requires TLS",
];

/// Where what came is no HTTP but a TLS alert.
pub(super) fn explain_non_http(endpoint: &Endpoint, answer: &[u8]) -> &'static str {
    if endpoint.is_plain() && answer.starts_with(&[0x15, 0x03]) {
        "; what came is a TLS alert, so the upstream wants TLS there: is its URL `https://`?"
    } else {
        ""
    }
}

/// Tells the log, once, where a 400 is about TLS. `answer` is what of it is here.
pub(super) fn warn_if_plain_http_to_tls(service: &str, endpoint: &Endpoint, answer: &[u8]) {
    let says = |words: &&str| memchr::memmem::find(answer, words.as_bytes()).is_some();
    if endpoint.is_plain() && PLAIN_HTTP_TO_TLS_MESSAGES.iter().any(says) && endpoint.warn_plain_http_once() {
        tracing::warn!(
            sidekey.service = service,
            upstream.url = endpoint.authority,
            "the upstream wants TLS there: is its URL `https://`?"
        );
    }
}

/// The error for a connection that TLS ended, with a hint if the reason is the client certificate.
pub(super) fn explain_tls_error(error: &io::Error) -> Option<ProxyError> {
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
