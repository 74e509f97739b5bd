//! Whether a server can be reached: the way there, and not a byte of a request.

use std::io;
use std::time::Duration;

use http::HeaderValue;
use tokio::io::AsyncReadExt;

use super::address_order::RecentFailures;
use super::connector::{ConnectError, Connector, Proxy, hint};
use crate::config::Host;
use crate::net::dns::Resolver;
use crate::upstream::endpoint::EndpointTls;
use crate::upstream::{Stream, Upstream};

/// How long an upstream is waited for that ends TLS after the handshake: in TLS 1.3 the client's certificate is looked at
/// when the client is done (RFC 8446 §4.4.2.4).
const POST_HANDSHAKE_WAIT: Duration = Duration::from_millis(500);

/// A server to reach.
pub struct ConnectProbe(Connector);

impl ConnectProbe {
    /// A server without connections of its own, such as a token endpoint. `proxy` opens a tunnel to it; its port, and
    /// `Proxy-Authorization` where it wants one.
    pub fn new(
        (host, port): (Host, u16),
        tls: EndpointTls,
        proxy: Option<(Host, u16, Option<HeaderValue>)>,
        resolver: Resolver,
    ) -> Self {
        let proxy = proxy.map(|(host, port, authorization)| Proxy { host, port, authorization });
        Self(Connector {
            host,
            port,
            tls,
            resolve: Vec::new(),
            proxy,
            resolver,
            recent_failures: RecentFailures::default(),
        })
    }

    /// Every URL of an upstream.
    pub fn for_upstream(upstream: Upstream) -> Vec<Self> {
        upstream.endpoints.into_iter().map(|endpoint| Self(endpoint.connector)).collect()
    }

    /// Host and port.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.0.host, self.0.port)
    }

    /// Connects, within `limit`, and closes the connection.
    pub async fn probe(&self, limit: Duration) -> Result<(), ConnectError> {
        let (mut stream, address) = self.0.connect(&[], limit).await?;
        if !matches!(stream, Stream::Tls(_)) {
            return Ok(());
        }
        let told = tokio::time::timeout(POST_HANDSHAKE_WAIT.min(limit), stream.read_u8()).await;
        match told {
            // Whoever merely closes a connection on which nothing is asked is reached.
            Ok(Err(source)) if is_refusal(&source) => {
                let name = self.0.host.to_string();
                Err(ConnectError::Tls { name, address, hint: hint(&source), source })
            }
            _ => Ok(()),
        }
    }
}

fn is_refusal(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}
