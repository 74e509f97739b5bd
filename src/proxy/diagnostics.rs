//! Hints at errors in the configuration, found in a response or in the end of a TLS connection.

use std::io;

use rustls::{AlertDescription, Error};

use super::error::{ErrorReason, ProxyError};
use crate::tls::error_text::error_text;
use crate::upstream::Endpoint;

/// The messages of servers that require TLS and got plain HTTP.
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

/// Returns a hint if bytes that are not HTTP are a TLS alert; otherwise an empty text.
pub(super) fn explain_non_http(endpoint: &Endpoint, bytes: &[u8]) -> &'static str {
    if endpoint.is_plain() && bytes.starts_with(&[0x15, 0x03]) {
        "; what came is a TLS alert, so the upstream wants TLS there: is its URL `https://`?"
    } else {
        ""
    }
}

/// Logs a warning, once for each endpoint, if a 400 response says that the server requires TLS. `response` is
/// the part that was read.
pub(super) fn warn_if_plain_http_to_tls(service: &str, endpoint: &Endpoint, response: &[u8]) {
    let is_in = |message: &&str| memchr::memmem::find(response, message.as_bytes()).is_some();
    if endpoint.is_plain() && PLAIN_HTTP_TO_TLS_MESSAGES.iter().any(is_in) && endpoint.warn_plain_http_once()
    {
        tracing::warn!(
            sidekey.service = service,
            upstream.url = endpoint.authority,
            "the upstream wants TLS there: is its URL `https://`?"
        );
    }
}

/// Returns the error for a connection that TLS ended, with a hint if the reason is the client certificate.
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
        ) => "; it rejects the client certificate (`tls.cert_file`), or requires one",
        _ => "",
    };
    Some(ProxyError::new(
        ErrorReason::UpstreamTls,
        format!("the upstream ended TLS: {}{hint}", error_text(tls)),
    ))
}
