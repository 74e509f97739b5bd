//! Which version of HTTP a request goes by, and a connection for it.

use std::sync::atomic::Ordering;

use http::uri::Scheme;

use super::{ConnectError, Connection, Stream, Upstream, connect};
use crate::config::Protocol;

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

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

impl Upstream {
    fn offer(&self, wish: Wish) -> Offer {
        match self.protocol {
            Protocol::Http2 => Offer::Http2,
            // What came by HTTP/2 may need it (gRPC does); what came by HTTP/1.1 is best left as it is.
            Protocol::Auto if wish.http2 && self.tls.is_some() => Offer::Either,
            Protocol::Auto | Protocol::Http1 => Offer::Http1,
        }
    }

    /// A connection that is there already, if there is one that still lives.
    pub fn idle(&self, wish: Wish) -> Option<Connection> {
        let http1 = || self.pool.take();
        let http2 = || self.http2.stream().map(|stream| Stream::Http2(Box::new(stream)));
        let stream = match self.offer(wish) {
            Offer::Http1 => http1(),
            Offer::Http2 if wish.upgrade => None,
            Offer::Http2 => http2(),
            Offer::Either if self.prefers_http1.load(Ordering::Relaxed) => http1(),
            Offer::Either => http2(),
        };
        stream.map(|stream| Connection { stream, reused: true })
    }

    /// A new connection, within the connect timeout; or a stream of one that somebody else opened meanwhile.
    pub async fn connect(&self, wish: Wish) -> Result<Connection, ConnectError> {
        tokio::time::timeout(self.timeouts.connect, self.open(wish))
            .await
            .map_err(|_| ConnectError::Timeout)?
    }

    async fn open(&self, wish: Wish) -> Result<Connection, ConnectError> {
        let offer = self.offer(wish);
        let new = |stream| Ok(Connection { stream, reused: false });
        if offer == Offer::Http1 {
            return new(self.dial(&[]).await?);
        }
        if wish.upgrade {
            return Err(ConnectError::Upgrade);
        }
        let _leave = match offer {
            Offer::Either if self.prefers_http1.load(Ordering::Relaxed) => None,
            _ => Some(self.http2.opening().await),
        };
        if let Some(stream) = self.http2.stream() {
            return Ok(Connection { stream: Stream::Http2(Box::new(stream)), reused: true });
        }
        let alpn: &[_] = if offer == Offer::Http2 { &[HTTP2] } else { &[HTTP2, HTTP1] };
        let opened = match self.dial(alpn).await? {
            Stream::Plain(tcp) => self.http2.open(tcp, Scheme::HTTP).await,
            Stream::Tls(tls) => {
                let is_http2 = tls.get_ref().1.alpn_protocol() == Some(HTTP2);
                self.prefers_http1.store(!is_http2, Ordering::Relaxed);
                match (is_http2, offer) {
                    (true, _) => self.http2.open(tls, Scheme::HTTPS).await,
                    (false, Offer::Http2) => return Err(ConnectError::Version),
                    (false, _) => return new(Stream::Tls(tls)),
                }
            }
            stream @ Stream::Http2(_) => return new(stream),
        };
        new(Stream::Http2(Box::new(opened.map_err(ConnectError::Http2)?)))
    }

    async fn dial(&self, alpn: &[&[u8]]) -> Result<Stream, ConnectError> {
        let addresses = self.resolver.addresses(&self.host, self.port).await.map_err(ConnectError::Dns)?;
        connect::open(&addresses, self.tls.as_ref(), alpn).await
    }

    /// Takes a connection back for the next request. Only after a whole request was written and a whole response read.
    pub fn release(&self, connection: Connection) {
        if !matches!(connection.stream, Stream::Http2(_)) {
            self.pool.put(connection.stream);
        }
    }
}

impl Connection {
    /// The upstream said nothing for too long: what else is carried by the same connection must know whether it lives.
    pub fn suspect(&self) {
        if let Stream::Http2(stream) = &self.stream {
            stream.suspect();
        }
    }
}
