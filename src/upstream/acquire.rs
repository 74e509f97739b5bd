//! Chooses the HTTP version for a request, and acquires a connection for it: a pooled one, a stream of a
//! shared one, or a new one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;

use super::connect::ConnectError;
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::stream::Stream;
use crate::config::Protocol;
use crate::proto::http2::{ALPN_HTTP1, ALPN_HTTP2};

/// The properties of a request that determine its HTTP version.
#[derive(Debug, Clone, Copy)]
pub struct ProtocolRequirements {
    /// Whether the caller uses HTTP/2.
    pub downstream_http2: bool,
    /// Whether the request is for a WebSocket, which needs HTTP/1.1.
    pub websocket: bool,
}

/// The versions that are offered in the TLS handshake (ALPN, RFC 7301), or used without one.
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
            // A request that came by HTTP/2 may need it (gRPC does). A request that came by HTTP/1.1 is sent
            // by HTTP/1.1.
            Protocol::Auto
                if requirements.downstream_http2 && !requirements.websocket && !self.is_plain() =>
            {
                Alpn::H2H1
            }
            Protocol::Auto | Protocol::Http1 => Alpn::H1,
        }
    }

    /// Whether the request may use a connection that requests share, so that the upstream may report it as
    /// unprocessed.
    pub fn may_share(&self, requirements: ProtocolRequirements) -> bool {
        self.alpn(requirements) != Alpn::H1
    }

    /// Returns a connection that is already open, if there is one. A request that must not be sent twice gets
    /// none that the upstream is likely to be closing.
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

    /// Opens a connection within `limit`, or returns a stream of one that another request has opened
    /// meanwhile.
    pub async fn connect(
        &self,
        requirements: ProtocolRequirements,
        limit: Duration,
    ) -> Result<Connection, ConnectError> {
        let alpn = self.alpn(requirements);
        if alpn == Alpn::H1 {
            return self.open(&[], limit).await;
        }
        // Boxed, so that the future of an idle connection does not reserve memory for it.
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
                timeout(limit, self.http2.lock_opening())
                    .await
                    .map_err(|_| timed_out("waiting for a connection that another request opens"))?,
            ),
        };
        if let Some(stream) = self.http2.stream() {
            return Ok(Connection::shared(stream));
        }
        let protocols: &[_] = if alpn == Alpn::H2 { &[ALPN_HTTP2] } else { &[ALPN_HTTP2, ALPN_HTTP1] };
        let Connection { stream, address, .. } = self.open(protocols, limit).await?;
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
                Stream::Plain(tcp) => self.http2.open(tcp, false, address).await,
                Stream::Tls(tls) => self.http2.open(tls, true, address).await,
                Stream::Http2(stream) => Ok(*stream),
            }
        };
        let opened =
            timeout(limit, settings).await.map_err(|_| timed_out("waiting for its HTTP/2 settings"))?;
        let stream =
            opened.map_err(|source| ConnectError::Http2 { name: self.authority.clone(), address, source })?;
        Ok(Connection { is_shared: false, ..Connection::shared(stream) })
    }

    async fn open(&self, alpn: &[&[u8]], limit: Duration) -> Result<Connection, ConnectError> {
        let (stream, address) = Box::pin(self.connector.connect(alpn, limit)).await?;
        Ok(Connection { stream, address, idle: None, is_shared: false })
    }
}
