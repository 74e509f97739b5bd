//! The way to one upstream: its addresses, its TLS, its idle connections.
//!
//! A connection is verified before it is handed out, belongs to one service only, and is taken back only by the code
//! that read a whole response from it.

mod connect;
mod http2;
mod pool;
mod stream;
mod version;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustls::pki_types::ServerName;

use crate::config::{Host, Protocol, Service, Timeouts};
use crate::dns::Resolver;
use crate::tls::TlsClient;

pub use connect::ConnectError;
pub use http2::is_unprocessed;
pub use stream::Stream;
pub use version::Wish;

use pool::Pool;

/// An idle connection is closed after this long: shorter than the keep-alive of common servers (nginx has 75 s), so
/// that it is Sidekey that closes, and no request runs into a closing connection.
const IDLE: Duration = Duration::from_secs(55);

/// One service's upstream.
pub struct Upstream {
    host: Host,
    port: u16,
    tls: Option<(Arc<TlsClient>, ServerName<'static>)>,
    resolver: Resolver,
    pool: Pool,
    protocol: Protocol,
    http2: http2::Connections,
    /// It chose HTTP/1.1 when it was last offered both.
    prefers_http1: AtomicBool,
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
            tls,
            resolver,
            pool: Pool::new(IDLE),
            protocol: service.protocol,
            http2: http2::Connections::new(IDLE),
            prefers_http1: AtomicBool::new(false),
            authority: service.upstream.authority(),
            base_path: service.upstream.base_path.clone(),
            timeouts: service.timeouts.clone(),
        }
    }

    /// Closes connections that were idle for too long; called now and then.
    pub fn sweep(&self) {
        self.pool.sweep();
        self.http2.sweep();
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
            protocol: Protocol::default(),
            hosts: vec![],
            listen: vec![],
            auth: Auth::Bearer { token: Secret::new("t".into()).unwrap() },
            tls: Tls::default(),
            timeouts: Timeouts::default(),
            token_wait: Duration::ZERO,
            optional: false,
        };
        Upstream::new(&service, None, Resolver::from_system().unwrap())
    }
}
