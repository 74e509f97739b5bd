//! Errors of opening a connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::tls::error_text::{error_text, tls_error};

/// The error of opening a connection. The message says what was tried, and which step failed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("cannot resolve {name}: {source}")]
    Dns {
        /// The upstream's host, or the proxy's.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// No address accepted the connection.
    #[error("cannot connect to {0}")]
    Tcp(String),
    /// This process or this machine has no descriptor left for the connection. The upstream was not asked.
    #[error("no connection to {name}: {source}")]
    Exhausted {
        /// The upstream's host.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// The proxy opened no tunnel.
    #[error("no tunnel to {to} through the proxy at {proxy}: {source}")]
    Proxy {
        /// Host and port of the upstream.
        to: String,
        /// The proxy's address.
        proxy: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The certificate was not accepted, or the handshake failed.
    #[error("TLS with {name} ({address}) failed: {}{hint}", error_text(.source))]
    Tls {
        /// The upstream's host.
        name: String,
        /// The address, the proxy's if there is one.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
        /// A likely reason, as the end of the message; may be empty.
        hint: &'static str,
    },
    /// `protocol: http2`, and the upstream does not negotiate HTTP/2.
    #[error("{name} does not negotiate HTTP/2 (ALPN), which `protocol: http2` requires")]
    Version {
        /// The upstream's host.
        name: String,
    },
    /// The connection was opened, but the server does not speak HTTP/2.
    #[error("{name} ({address}) does not speak HTTP/2: {source}")]
    Http2 {
        /// The upstream's host.
        name: String,
        /// The address, the proxy's if there is one.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// `protocol: http2`, and the request needs HTTP/1.1.
    #[error("a WebSocket needs HTTP/1.1, which `protocol: http2` excludes")]
    Upgrade,
    /// `timeouts.connect` has passed.
    #[error("{name} did not accept the connection within {} (timeouts.connect): {phase}", seconds(.after))]
    Timeout {
        /// The upstream's host.
        name: String,
        /// The limit.
        after: Duration,
        /// The step that took too long.
        phase: String,
    },
}

impl ConnectError {
    /// Whether the upstream has failed, and not this machine.
    pub fn is_of_upstream(&self) -> bool {
        !matches!(self, Self::Exhausted { .. })
    }

    /// Whether a retry, perhaps at another address, may succeed: the connection failed, and nothing rejected
    /// it.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Tcp(_) => true,
            Self::Tls { source, .. } => source.get_ref().is_none_or(|inner| !inner.is::<rustls::Error>()),
            Self::Dns { .. } | Self::Exhausted { .. } | Self::Proxy { .. } | Self::Timeout { .. } => false,
            Self::Version { .. } | Self::Http2 { .. } | Self::Upgrade => false,
        }
    }
}

fn seconds(duration: &Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// Returns a hint at the usual cause of an error of the TLS handshake; empty if there is none.
pub(crate) fn tls_hint(error: &io::Error) -> &'static str {
    use rustls::{CertificateError, Error, InvalidMessage};
    let Some(tls) = tls_error(error) else { return "" };
    match tls {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "; the server does not speak TLS: is the URL `http://`, or another port?"
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "; its CA is not trusted: `tls.ca_file` sets another"
        }
        Error::InvalidCertificate(CertificateError::Other(other))
            if other.0.to_string().contains("CaUsedAsEndEntity") =>
        {
            "; it is self-signed: `tls.ca_file` names the certificates that are trusted"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "; its certificate is for another name: `tls.server_name` sets the expected one",
        Error::AlertReceived(rustls::AlertDescription::HandshakeFailure) => {
            "; it shares no cipher or kind of key with this client (a P-521 key, for example, is not supported)"
        }
        Error::AlertReceived(rustls::AlertDescription::ProtocolVersion) => {
            "; it supports none of the allowed TLS versions (`tls.min_version`)"
        }
        _ => "",
    }
}
