//! Opens one connection: TCP to the first address that answers, then TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Stream;
use crate::keepalive::keep_alive;
use crate::tls::TlsClient;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("cannot resolve the upstream's name: {0}")]
    Dns(io::Error),
    /// No address took the connection.
    #[error("cannot connect to the upstream: {0}")]
    Tcp(io::Error),
    /// The certificate was not accepted, or the handshake failed.
    #[error("TLS with the upstream failed: {0}")]
    Tls(io::Error),
    /// `timeouts.connect` is over.
    #[error("the upstream did not take the connection in time")]
    Timeout,
}

/// Connects to the first of `addresses` that answers.
pub(super) async fn open(
    addresses: &[SocketAddr],
    tls: Option<&(Arc<TlsClient>, ServerName<'static>)>,
) -> Result<Stream, ConnectError> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(tcp) => {
                tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
                keep_alive(&tcp);
                return secure(tcp, tls).await;
            }
            Err(error) => last = error,
        }
    }
    Err(ConnectError::Tcp(last))
}

async fn secure(
    tcp: TcpStream,
    tls: Option<&(Arc<TlsClient>, ServerName<'static>)>,
) -> Result<Stream, ConnectError> {
    let Some((client, name)) = tls else { return Ok(Stream::Plain(tcp)) };
    let connector = TlsConnector::from(client.current());
    let stream = connector.connect(name.clone(), tcp).await.map_err(ConnectError::Tls)?;
    Ok(Stream::Tls(Box::new(stream)))
}
