//! One URL of an upstream: how to connect to it, its connections, and its circuit breaker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use rustls::pki_types::ServerName;

use super::circuit_breaker::{CircuitBreaker, Transition};
use super::connect::{Connector, ForwardProxy, RecentFailures};
use super::connection::Connection;
use super::http2;
use super::pool::Pool;
use super::stream::Stream;
use crate::config;
use crate::config::{Protocol, UpstreamOptions};
use crate::net::dns::Resolver;
use crate::tls::client::TlsClient;
use crate::tls::presented::PresentedCertificate;

/// Failures in a row after which an endpoint is passed over, if the upstream has others.
const CONSECUTIVE_FAILURES: u32 = 3;
/// Time for which it is passed over.
const EJECTION_TIME: Duration = Duration::from_secs(10);

/// One URL of an upstream.
pub struct Endpoint {
    pub(super) connector: Connector,
    pub(super) pool: Pool,
    pub(super) protocol: Protocol,
    pub(super) http2: http2::Connections,
    /// Whether the server chose HTTP/1.1 when it was last offered both versions.
    pub(super) prefers_http1: AtomicBool,
    circuit_breaker: CircuitBreaker,
    warned_plain_http: AtomicBool,
    /// Scheme and authority, as a DPoP proof names them (RFC 9449 §4.2).
    pub origin: String,
    /// The `Host` of every request.
    pub authority: String,
    /// The prefix of every path; empty, or without a trailing slash.
    pub base_path: String,
}

/// The TLS client for one URL, and the name that the server must prove; `None` for `http`.
pub type EndpointTls = Option<(Arc<TlsClient>, ServerName<'static>)>;

/// What the endpoints of an upstream have in common.
pub(super) struct EndpointSettings {
    pub(super) options: UpstreamOptions,
    pub(super) protocol: Protocol,
    pub(super) resolver: Resolver,
    /// `Proxy-Authorization`, if `proxy` requires it.
    pub(super) proxy_authorization: Option<HeaderValue>,
    pub(super) sensitive_headers: Arc<[HeaderName]>,
}

impl Endpoint {
    pub(super) fn new(url: &config::UpstreamUrl, tls: EndpointTls, settings: &EndpointSettings) -> Self {
        let options = &settings.options;
        let proxy = options.proxy.as_ref().map(|proxy| ForwardProxy {
            host: proxy.host.clone(),
            port: proxy.port,
            authorization: settings.proxy_authorization.clone(),
        });
        Self {
            connector: Connector {
                host: url.host.clone(),
                port: url.port,
                tls,
                resolve: options.resolve.clone(),
                proxy,
                resolver: settings.resolver.clone(),
                recent_failures: RecentFailures::default(),
                certificate: PresentedCertificate::default(),
            },
            pool: Pool::new(&options.pool),
            protocol: settings.protocol,
            http2: http2::Connections::new(
                options.pool.idle_timeout,
                settings.sensitive_headers.clone(),
                options.max_response_head.list_size(),
            ),
            prefers_http1: AtomicBool::new(false),
            circuit_breaker: CircuitBreaker::new(CONSECUTIVE_FAILURES, EJECTION_TIME),
            warned_plain_http: AtomicBool::new(false),
            origin: format!("{}://{}", if url.tls { "https" } else { "http" }, url.authority()),
            authority: url.authority(),
            base_path: url.base_path.clone(),
        }
    }

    /// The URL, without secrets.
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

    /// Returns a connection for the next request. Only after a whole request was written and a whole response
    /// was read. `keep_alive` is the timeout that the upstream has announced.
    pub fn release(&self, connection: Connection, keep_alive: Option<Duration>) {
        if !matches!(connection.stream, Stream::Http2(_)) {
            self.pool.put(connection.stream, connection.address, keep_alive);
        }
    }

    /// Records that a connection ended without a byte of a response.
    pub fn record_lost(&self, connection: &Connection) {
        if let Some(idle) = connection.idle {
            self.pool.record_close(idle);
        }
    }

    /// Closes idle connections, and keeps none from now on.
    pub(super) fn retire(&self) {
        self.pool.retire();
    }

    /// Closes connections that were idle for too long; called periodically.
    pub(super) fn sweep(&self) {
        self.pool.sweep();
        self.http2.sweep();
    }

    /// The number of open connections that no request is using.
    pub(super) fn idle_connections(&self) -> usize {
        self.pool.idle() + self.http2.idle()
    }

    /// When the certificate ends that the server presented last, in seconds of Unix time; `None` if none was seen.
    pub fn certificate_end(&self) -> Option<f64> {
        self.connector.certificate.end()
    }

    /// Requests that failed since the last that got a response.
    pub(super) fn consecutive_failures(&self) -> u32 {
        self.circuit_breaker.failures()
    }

    /// Whether the circuit breaker admits a request; if it is half-open, the request is its probe.
    pub(super) fn is_available(&self) -> bool {
        self.circuit_breaker.try_acquire().is_ok()
    }

    /// Records that a request got a response.
    pub(super) fn record_success(&self) {
        if self.circuit_breaker.record_success() == Transition::Closed {
            tracing::info!(upstream.url = self.authority, "endpoint answers again");
        }
    }

    /// Records that a request got no response, or the status of a gateway whose own upstream fails.
    pub(super) fn record_failure(&self, has_alternatives: bool) {
        if self.circuit_breaker.record_failure() == Transition::Opened && has_alternatives {
            tracing::warn!(
                upstream.url = self.authority,
                upstream.failures = CONSECUTIVE_FAILURES,
                upstream.ejected_s = EJECTION_TIME.as_secs(),
                "endpoint ejected: it does not answer, and gets no requests as long as another one does"
            );
        }
    }

    /// Whether the URL is `http`.
    pub fn is_plain(&self) -> bool {
        self.connector.tls.is_none()
    }

    /// Whether to warn that the server expects TLS: `true` the first time only.
    pub fn warn_plain_http_once(&self) -> bool {
        !self.warned_plain_http.swap(true, Ordering::Relaxed)
    }
}
