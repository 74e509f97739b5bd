//! Which version of HTTP a request goes by, and a connection for it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::uri::Scheme;
use tokio::time::timeout;

use super::{ConnectError, Connection, Doubt, Endpoint, Stream, http2};
use crate::config::Protocol;
use crate::proto::http2::{ALPN_HTTP1, ALPN_HTTP2};

/// What of a request decides on its version.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// It came by HTTP/2.
    pub http2: bool,
    /// It is to become a WebSocket, which only HTTP/1.1 can.
    pub upgrade: bool,
}

/// What is spoken, or offered in the TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    Http1,
    Either,
    Http2,
}

impl Endpoint {
    fn offer(&self, wish: Wish) -> Offer {
        match self.protocol {
            Protocol::Http2 => Offer::Http2,
            // What came by HTTP/2 may need it (gRPC does); what came by HTTP/1.1 is best left as it is.
            Protocol::Auto if wish.http2 && !wish.upgrade && !self.is_plain() => Offer::Either,
            Protocol::Auto | Protocol::Http1 => Offer::Http1,
        }
    }

    /// Whether the request may go by a connection that others share, whose other end may say that it has not acted on it.
    pub fn may_share(&self, wish: Wish) -> bool {
        self.offer(wish) != Offer::Http1
    }

    /// A connection that is there already, if there is one that still lives. For a request that must not be sent twice,
    /// only one that the upstream is not likely to be closing right now.
    pub fn idle(&self, wish: Wish, is_idempotent: bool) -> Option<Connection> {
        match self.offer(wish) {
            Offer::Http1 => self.idle_http1(is_idempotent),
            Offer::Http2 if wish.upgrade => None,
            Offer::Either if self.prefers_http1.load(Ordering::Relaxed) => self.idle_http1(is_idempotent),
            Offer::Either | Offer::Http2 => self.http2.stream().map(Connection::shared),
        }
    }

    fn idle_http1(&self, is_idempotent: bool) -> Option<Connection> {
        let (stream, address, idle) = self.pool.take(is_idempotent)?;
        Some(Connection { stream, address, idle: Some(idle), is_shared: false })
    }

    /// A new connection, within the connect timeout; or a stream of one that somebody else opened meanwhile.
    pub async fn connect(&self, wish: Wish, limit: Duration) -> Result<Connection, ConnectError> {
        let offer = self.offer(wish);
        if offer == Offer::Http1 {
            return self.dial(&[], limit).await;
        }
        // In a box: a connection that is idle should not hold room for what it needs once.
        Box::pin(self.connect_http2(wish, offer, limit)).await
    }

    async fn connect_http2(
        &self,
        wish: Wish,
        offer: Offer,
        limit: Duration,
    ) -> Result<Connection, ConnectError> {
        if wish.upgrade {
            return Err(ConnectError::Upgrade);
        }
        let timed_out = |phase: &str| ConnectError::Timeout {
            name: self.authority.clone(),
            after: limit,
            phase: phase.to_owned(),
        };
        let _leave = match offer {
            Offer::Either if self.prefers_http1.load(Ordering::Relaxed) => None,
            _ => Some(
                timeout(limit, self.http2.opening())
                    .await
                    .map_err(|_| timed_out("waiting for a connection that another request opens"))?,
            ),
        };
        if let Some(stream) = self.http2.stream() {
            return Ok(Connection::shared(stream));
        }
        let alpn: &[_] = if offer == Offer::Http2 { &[ALPN_HTTP2] } else { &[ALPN_HTTP2, ALPN_HTTP1] };
        let Connection { stream, address, .. } = self.dial(alpn, limit).await?;
        let chosen = match &stream {
            Stream::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2),
            Stream::Plain(_) | Stream::Http2(_) => true,
        };
        self.prefers_http1.store(!chosen, Ordering::Relaxed);
        match (chosen, offer) {
            (true, _) => {}
            (false, Offer::Http2) => return Err(ConnectError::Version { name: self.authority.clone() }),
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
        let (stream, address) = Box::pin(self.way.connect(alpn, limit)).await?;
        Ok(Connection { stream, address, idle: None, is_shared: false })
    }
}

impl Connection {
    fn shared(stream: http2::Stream) -> Self {
        let address = stream.address();
        Self { stream: Stream::Http2(Box::new(stream)), address, idle: None, is_shared: true }
    }

    /// What to say if the upstream says nothing for too long, where others are carried by the same connection.
    pub fn doubt(&self) -> Option<Doubt> {
        match &self.stream {
            Stream::Http2(stream) => Some(stream.doubt()),
            Stream::Plain(_) | Stream::Tls(_) => None,
        }
    }
}
