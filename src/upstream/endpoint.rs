//! One URL of an upstream: the way to it, its idle connections, its circuit breaker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderValue;
use rustls::pki_types::ServerName;

use super::circuit_breaker::{CircuitBreaker, Transition};
use super::connect::connector::{Connector, Proxy};
use super::http2;
use super::pool::Pool;
use super::stream::Stream;
use crate::config;
use crate::config::{Protocol, ServiceConfig};
use crate::net::dns::Resolver;
use crate::tls::client::TlsClient;

/// So many failures in a row, and it is passed over for so long; where there are others.
const CONSECUTIVE_FAILURES: u32 = 3;
const EJECTION_TIME: Duration = Duration::from_secs(10);

/// One URL of an upstream.
pub struct Endpoint {
    pub(super) connector: Connector,
    pub(super) pool: Pool,
    pub(super) protocol: Protocol,
    pub(super) http2: http2::Connections,
    /// It chose HTTP/1.1 when it was last offered both.
    pub(super) prefers_http1: AtomicBool,
    circuit_breaker: CircuitBreaker,
    warned_plain_http: AtomicBool,
    /// Scheme and authority, as a proof of possession names them.
    pub origin: String,
    /// `Host` of every request.
    pub authority: String,
    /// Put before every path; empty, or without a trailing slash.
    pub base_path: String,
}

/// A connection to an upstream, in use by one request.
pub struct Connection {
    /// To write the request to and read the response from.
    pub stream: Stream,
    /// The other side; the proxy, where there is one.
    pub address: SocketAddr,
    /// How long it was idle, if it has carried a request before: the upstream may have closed it at any moment.
    pub(super) idle: Option<Duration>,
    /// It is a stream of a connection that was there before.
    pub(super) is_shared: bool,
}

impl Connection {
    /// Whether it has carried a request before.
    pub fn is_reused(&self) -> bool {
        self.idle.is_some() || self.is_shared
    }
}

/// What TLS with one URL needs; `None` for `http`.
pub type EndpointTls = Option<(Arc<TlsClient>, ServerName<'static>)>;

impl Endpoint {
    pub(super) fn new(
        url: &config::UpstreamUrl,
        service: &ServiceConfig,
        tls: EndpointTls,
        resolver: Resolver,
        proxy_authorization: Option<HeaderValue>,
    ) -> Self {
        let options = &service.options;
        let proxy = options.proxy.as_ref().map(|proxy| Proxy {
            host: proxy.host.clone(),
            port: proxy.port,
            authorization: proxy_authorization,
        });
        Self {
            connector: Connector {
                host: url.host.clone(),
                port: url.port,
                tls,
                resolve: options.resolve.clone(),
                proxy,
                resolver,
                recent_failures: super::connect::address_order::RecentFailures::default(),
            },
            pool: Pool::new(&options.pool),
            protocol: service.protocol,
            http2: http2::Connections::new(options.pool.idle_timeout),
            prefers_http1: AtomicBool::new(false),
            circuit_breaker: CircuitBreaker::new(CONSECUTIVE_FAILURES, EJECTION_TIME),
            warned_plain_http: AtomicBool::new(false),
            origin: format!("{}://{}", if url.tls { "https" } else { "http" }, url.authority()),
            authority: url.authority(),
            base_path: url.base_path.clone(),
        }
    }

    /// The URL, as it may be shown.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin, self.base_path)
    }

    /// Scheme, host (an IPv6 address without brackets) and port.
    pub fn server(&self) -> (&'static str, String, u16) {
        let host = match &self.connector.host {
            config::Host::Name(name) => name.clone(),
            config::Host::Ip(ip) => ip.to_string(),
        };
        (if self.is_plain() { "http" } else { "https" }, host, self.connector.port)
    }

    /// Takes a connection back for the next request. Only after a whole request was written and a whole response read.
    /// `keep_alive` is how long the upstream said that it keeps it.
    pub fn release(&self, connection: Connection, keep_alive: Option<Duration>) {
        if !matches!(connection.stream, Stream::Http2(_)) {
            self.pool.put(connection.stream, connection.address, keep_alive);
        }
    }

    /// The connection ended without a byte of an answer.
    pub fn record_lost(&self, connection: &Connection) {
        if let Some(idle) = connection.idle {
            self.pool.record_close(idle);
        }
    }

    /// Keeps no connection from now on.
    pub(super) fn retire(&self) {
        self.pool.retire();
    }

    /// Closes connections that were idle for too long; called now and then.
    pub(super) fn sweep(&self) {
        self.pool.sweep();
        self.http2.sweep();
    }

    /// The number of open connections that no request is using.
    pub(super) fn idle_connections(&self) -> usize {
        self.pool.idle() + self.http2.idle()
    }

    /// Whether it is its turn.
    pub(super) fn is_available(&self) -> bool {
        self.circuit_breaker.try_acquire().is_ok()
    }

    /// A request got an answer.
    pub(super) fn record_success(&self) {
        if self.circuit_breaker.record_success() == Transition::Closed {
            tracing::info!(
                upstream.url = self.authority,
                "answers again, and gets its share of the requests"
            );
        }
    }

    /// A request got none, or one that says that nobody is there.
    pub(super) fn record_failure(&self, has_alternatives: bool) {
        if self.circuit_breaker.record_failure() == Transition::Opened && has_alternatives {
            tracing::warn!(
                upstream.url = self.authority,
                upstream.failures = CONSECUTIVE_FAILURES,
                upstream.passed_over.seconds = EJECTION_TIME.as_secs(),
                "does not answer; passed over as long as another does"
            );
        }
    }

    /// Whether it speaks plain HTTP.
    pub fn is_plain(&self) -> bool {
        self.connector.tls.is_none()
    }

    /// Whether the log is still to be told what is wrong with the URL: the first time only.
    pub fn warn_plain_http_once(&self) -> bool {
        !self.warned_plain_http.swap(true, Ordering::Relaxed)
    }
}
