//! TLS of a caller, which comes before everything else of its connection.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::linger::linger;
use crate::net::buffer::Buffer;
use crate::proxy::wire::relay::Io;

/// A caller that takes longer over the handshake does not want to talk.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The handshake; `None` where there is nobody to talk to afterwards. Not a line in the log at a level that is on: anyone
/// may knock.
pub(crate) async fn accept<I: Io>(config: Arc<ServerConfig>, io: I) -> Option<TlsStream<I>> {
    let accepting = TlsAcceptor::from(config).accept(io).into_fallible();
    match timeout(HANDSHAKE, accepting).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err((error, mut io))) => {
            tracing::debug!("TLS handshake with a caller failed: {error}");
            // So that one that does not speak TLS sees a close and no reset.
            linger(&mut io, &mut Buffer::acquire()).await;
            None
        }
        Err(_) => {
            tracing::debug!("TLS handshake with a caller took too long");
            None
        }
    }
}
