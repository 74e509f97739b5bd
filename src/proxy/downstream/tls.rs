//! The TLS handshake of a downstream connection.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::linger::linger;
use crate::callers::CertificateNames;
use crate::net::buffer::Buffer;
use crate::proxy::wire::relay::Io;
use crate::tls::error_text::error_text;

/// The time limit of the handshake, and of the first byte before it.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Does the handshake; `None` if it fails. A failure is logged at level debug only, because any client can
/// cause it.
pub(crate) async fn accept<I: Io>(config: Arc<ServerConfig>, io: I) -> Option<TlsStream<I>> {
    let accepting = TlsAcceptor::from(config).accept(io).into_fallible();
    match timeout(HANDSHAKE_TIMEOUT, accepting).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err((error, mut io))) => {
            tracing::debug!("TLS handshake with a caller failed: {}", error_text(&error));
            // So that a client without TLS gets a close instead of a reset.
            linger(&mut io, &mut Buffer::acquire()).await;
            None
        }
        Err(_) => {
            tracing::debug!("TLS handshake with a caller took too long");
            None
        }
    }
}

/// The names in the client certificate, which the handshake has verified; `None` if there is none.
pub(crate) fn client_names<I>(stream: &TlsStream<I>) -> Option<CertificateNames> {
    let (_, session) = stream.get_ref();
    CertificateNames::of(session.peer_certificates()?.first()?)
}
