//! A server that is not an upstream: checks whether it can be reached, without a byte of a request, or opens a connection to it.

use std::io;
use std::time::Duration;

use http::HeaderValue;
use tokio::io::AsyncReadExt;

use super::connect::{ConnectError, Connector, ForwardProxy, RecentFailures, tls_hint};
use super::endpoint::EndpointTls;
use super::service_upstream::Upstream;
use super::stream::Stream;
use crate::config::Host;
use crate::net::dns::Resolver;
use crate::tls::presented::PresentedCertificate;

/// Time to wait for an alert after the handshake: in TLS 1.3 the server verifies the client's certificate
/// when the client has finished (RFC 8446 §4.4.2.4).
const POST_HANDSHAKE_WAIT: Duration = Duration::from_millis(500);

/// A server to connect to.
pub struct ConnectProbe(Connector);

impl ConnectProbe {
    /// A server that is not an upstream, such as a token endpoint. `proxy` opens the tunnel to it: host, port
    /// and, if the proxy requires it, `Proxy-Authorization`.
    pub fn new(
        (host, port): (Host, u16),
        tls: EndpointTls,
        proxy: Option<(Host, u16, Option<HeaderValue>)>,
        resolver: Resolver,
    ) -> Self {
        let proxy = proxy.map(|(host, port, authorization)| ForwardProxy { host, port, authorization });
        Self(Connector {
            host,
            port,
            tls,
            resolve: Vec::new(),
            proxy,
            resolver,
            recent_failures: RecentFailures::default(),
            certificate: PresentedCertificate::default(),
        })
    }

    /// The server of each URL of an upstream.
    pub fn for_upstream(upstream: Upstream) -> Vec<Self> {
        upstream.endpoints.into_iter().map(|endpoint| Self(endpoint.connector)).collect()
    }

    /// Host and port.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.0.host, self.0.port)
    }

    /// When the certificate ends that the server presented, in seconds of Unix time; `None` if it presented none.
    pub fn certificate_end(&self) -> Option<f64> {
        self.0.certificate.end()
    }

    /// Connects, within `limit`, for a protocol that is not HTTP.
    pub async fn open(&self, limit: Duration) -> Result<Stream, ConnectError> {
        self.0.connect(&[], limit).await.map(|(stream, _)| stream)
    }

    /// Connects, within `limit`, and closes the connection.
    pub async fn probe(&self, limit: Duration) -> Result<(), ConnectError> {
        let (mut stream, address) = self.0.connect(&[], limit).await?;
        if !matches!(stream, Stream::Tls(_)) {
            return Ok(());
        }
        let alert = tokio::time::timeout(POST_HANDSHAKE_WAIT.min(limit), stream.read_u8()).await;
        match alert {
            // A server that only closes a connection without a request can be reached.
            Ok(Err(source)) if is_tls_error(&source) => {
                let name = self.0.host.to_string();
                Err(ConnectError::Tls { name, address, hint: tls_hint(&source), source })
            }
            _ => Ok(()),
        }
    }
}

fn is_tls_error(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}
