//! The way to one upstream: its addresses, its TLS, its idle connections.
//!
//! A connection is verified before it is handed out, belongs to one service only, and is taken back only by the code
//! that read a whole response from it.

mod connect;
mod outside;
mod pool;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;

use crate::config::{Host, Service, Timeouts};
use crate::dns::Resolver;
use crate::tls::TlsClient;

pub use connect::ConnectError;
pub use outside::{Outside, OutsideError};
pub use stream::Stream;

use pool::Pool;

/// An idle connection is closed after this long: shorter than the keep-alive of common servers (nginx has 75 s), so
/// that it is Sidekey that closes, and no request runs into a closing connection.
const IDLE: Duration = Duration::from_secs(55);

/// One service's upstream.
pub struct Upstream {
    host: Host,
    port: u16,
    is_tls: bool,
    tls: Option<(Arc<TlsClient>, ServerName<'static>)>,
    resolver: Resolver,
    pool: Pool,
    /// `Host` of every request.
    pub authority: String,
    /// Put before every path; empty, or without a trailing slash.
    pub base_path: String,
    /// Limits on waiting.
    pub timeouts: Timeouts,
}

/// A connection to an upstream, in use by one request.
pub struct Connection {
    /// To write the request to and read the response from.
    pub stream: Stream,
    /// It has carried a request before, and so may have been closed by the upstream at any moment.
    pub reused: bool,
}

impl Upstream {
    /// Prepares the way; nothing is connected yet. `tls` is for `https` only.
    pub fn new(
        service: &Service,
        tls: Option<(Arc<TlsClient>, ServerName<'static>)>,
        resolver: Resolver,
    ) -> Self {
        Self {
            host: service.upstream.host.clone(),
            port: service.upstream.port,
            is_tls: service.upstream.tls,
            tls,
            resolver,
            pool: Pool::new(IDLE),
            authority: service.upstream.authority(),
            base_path: service.upstream.base_path.clone(),
            timeouts: service.timeouts.clone(),
        }
    }

    /// Whether it is reached by TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// An idle connection, if there is one that still lives.
    pub fn idle(&self) -> Option<Connection> {
        self.pool.take().map(|stream| Connection { stream, reused: true })
    }

    /// A new connection, within the connect timeout.
    pub async fn connect(&self) -> Result<Connection, ConnectError> {
        let stream = tokio::time::timeout(self.timeouts.connect, self.open())
            .await
            .map_err(|_| ConnectError::Timeout)??;
        Ok(Connection { stream, reused: false })
    }

    async fn open(&self) -> Result<Stream, ConnectError> {
        let addresses = self.resolver.addresses(&self.host, self.port).await.map_err(ConnectError::Dns)?;
        connect::open(&addresses, self.tls.as_ref()).await
    }

    /// Takes a connection back for the next request. Only after a whole request was written and a whole response read.
    pub fn release(&self, connection: Connection) {
        self.pool.put(connection.stream);
    }

    /// Closes connections that were idle for too long; called now and then.
    pub fn sweep(&self) {
        self.pool.sweep();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::{Auth, Tls};
    use crate::secret::Secret;

    /// An upstream that is never connected to, for tests of what is written to it.
    pub(crate) fn upstream(authority: &str, base_path: &str) -> Upstream {
        let (host, port) = authority.split_once(':').unwrap();
        let service = Service {
            name: "test".into(),
            upstream: crate::config::Upstream {
                tls: true,
                host: Host::Name(host.into()),
                port: port.parse().unwrap(),
                base_path: base_path.into(),
            },
            hosts: vec![],
            listen: vec![],
            auth: Auth::Bearer { token: Secret::new("t".into()).unwrap() },
            tls: Tls::default(),
            timeouts: Timeouts::default(),
            token_wait: Duration::ZERO,
            rewrite_location: true,
            optional: false,
        };
        Upstream::new(&service, None, Resolver::from_system().unwrap())
    }
}
