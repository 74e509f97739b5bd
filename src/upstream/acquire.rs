//! Which version of HTTP a request goes by, and a connection for it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::uri::Scheme;
use tokio::time::timeout;

use super::{ConnectError, Connection, Endpoint, PingHandle, Stream, http2};
use crate::config::Protocol;
use crate::proto::http2::{ALPN_HTTP1, ALPN_HTTP2};

/// What of a request decides on its version.
#[derive(Debug, Clone, Copy)]
pub struct ProtocolRequirements {
    /// It came by HTTP/2.
    pub downstream_http2: bool,
    /// It is to become a WebSocket, which only HTTP/1.1 can.
    pub websocket: bool,
}

/// What is spoken, or offered in the TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alpn {
    H1,
    H2H1,
    H2,
}

impl Endpoint {
    fn alpn(&self, requirements: ProtocolRequirements) -> Alpn {
        match self.protocol {
            Protocol::Http2 => Alpn::H2,
            // What came by HTTP/2 may need it (gRPC does); what came by HTTP/1.1 is best left as it is.
            Protocol::Auto
                if requirements.downstream_http2 && !requirements.websocket && !self.is_plain() =>
            {
                Alpn::H2H1
            }
            Protocol::Auto | Protocol::Http1 => Alpn::H1,
        }
    }

    /// Whether the request may go by a connection that others share, whose other end may say that it has not acted on it.
    pub fn may_share(&self, requirements: ProtocolRequirements) -> bool {
        self.alpn(requirements) != Alpn::H1
    }

    /// A connection that is there already, if there is one that still lives. For a request that must not be sent twice,
    /// only one that the upstream is not likely to be closing right now.
    pub fn idle(&self, requirements: ProtocolRequirements, is_idempotent: bool) -> Option<Connection> {
        match self.alpn(requirements) {
            Alpn::H1 => self.idle_http1(is_idempotent),
            Alpn::H2 if requirements.websocket => None,
            Alpn::H2H1 if self.prefers_http1.load(Ordering::Relaxed) => self.idle_http1(is_idempotent),
            Alpn::H2H1 | Alpn::H2 => self.http2.stream().map(Connection::shared),
        }
    }

    fn idle_http1(&self, is_idempotent: bool) -> Option<Connection> {
        let (stream, address, idle) = self.pool.take(is_idempotent)?;
        Some(Connection { stream, address, idle: Some(idle), is_shared: false })
    }

    /// A new connection, within the connect timeout; or a stream of one that somebody else opened meanwhile.
    pub async fn connect(
        &self,
        requirements: ProtocolRequirements,
        limit: Duration,
    ) -> Result<Connection, ConnectError> {
        let alpn = self.alpn(requirements);
        if alpn == Alpn::H1 {
            return self.dial(&[], limit).await;
        }
        // In a box: a connection that is idle should not hold room for what it needs once.
        Box::pin(self.connect_http2(requirements, alpn, limit)).await
    }

    async fn connect_http2(
        &self,
        requirements: ProtocolRequirements,
        alpn: Alpn,
        limit: Duration,
    ) -> Result<Connection, ConnectError> {
        if requirements.websocket {
            return Err(ConnectError::Upgrade);
        }
        let timed_out = |phase: &str| ConnectError::Timeout {
            name: self.authority.clone(),
            after: limit,
            phase: phase.to_owned(),
        };
        let _opening = match alpn {
            Alpn::H2H1 if self.prefers_http1.load(Ordering::Relaxed) => None,
            _ => Some(
                timeout(limit, self.http2.opening())
                    .await
                    .map_err(|_| timed_out("waiting for a connection that another request opens"))?,
            ),
        };
        if let Some(stream) = self.http2.stream() {
            return Ok(Connection::shared(stream));
        }
        let protocols: &[_] = if alpn == Alpn::H2 { &[ALPN_HTTP2] } else { &[ALPN_HTTP2, ALPN_HTTP1] };
        let Connection { stream, address, .. } = self.dial(protocols, limit).await?;
        let is_http2 = match &stream {
            Stream::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2),
            Stream::Plain(_) | Stream::Http2(_) => true,
        };
        self.prefers_http1.store(!is_http2, Ordering::Relaxed);
        match (is_http2, alpn) {
            (true, _) => {}
            (false, Alpn::H2) => return Err(ConnectError::Version { name: self.authority.clone() }),
            (false, _) => return Ok(Connection { stream, address, idle: None, is_shared: false }),
        }
        let settings = async {
            match stream {
                Stream::Plain(tcp) => self.http2.open(tcp, Scheme::HTTP, address).await,
                Stream::Tls(tls) => self.http2.open(tls, Scheme::HTTPS, address).await,
                Stream::Http2(stream) => Ok(*stream),
            }
        };
        let opened =
            timeout(limit, settings).await.map_err(|_| timed_out("its HTTP/2 settings did not come"))?;
        let stream =
            opened.map_err(|source| ConnectError::Http2 { name: self.authority.clone(), address, source })?;
        Ok(Connection { is_shared: false, ..Connection::shared(stream) })
    }

    async fn dial(&self, alpn: &[&[u8]], limit: Duration) -> Result<Connection, ConnectError> {
        let (stream, address) = Box::pin(self.connector.connect(alpn, limit)).await?;
        Ok(Connection { stream, address, idle: None, is_shared: false })
    }
}

impl Connection {
    fn shared(stream: http2::Stream) -> Self {
        let address = stream.address();
        Self { stream: Stream::Http2(Box::new(stream)), address, idle: None, is_shared: true }
    }

    /// What to say if the upstream says nothing for too long, where others are carried by the same connection.
    pub fn ping_handle(&self) -> Option<PingHandle> {
        match &self.stream {
            Stream::Http2(stream) => Some(stream.ping_handle()),
            Stream::Plain(_) | Stream::Tls(_) => None,
        }
    }
}
