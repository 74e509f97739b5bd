//! TLS of a caller, which comes before everything else of its connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::relay::Io;

/// A caller that takes longer over the handshake does not want to talk.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What a caller that does not speak TLS has sent is taken in for so long, so that it sees a close and no reset.
const LINGER: Duration = Duration::from_secs(1);

/// The handshake; `None` where there is nobody to talk to afterwards. Not a line in the log at a level that is on: anyone
/// may knock.
pub(super) async fn accept<I: Io>(config: Arc<ServerConfig>, io: I) -> Option<TlsStream<I>> {
    let accepting = TlsAcceptor::from(config).accept(io).into_fallible();
    match timeout(HANDSHAKE, accepting).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err((error, io))) => {
            tracing::debug!("TLS handshake with a caller failed: {error}");
            let _ = timeout(LINGER, part(io)).await;
            None
        }
        Err(_) => {
            tracing::debug!("TLS handshake with a caller took too long");
            None
        }
    }
}

/// Closes a connection that may still bring something.
async fn part(mut io: impl Io) -> io::Result<()> {
    io.shutdown().await?;
    let mut sink = [0; 1024];
    while io.read(&mut sink).await? > 0 {}
    Ok(())
}
