//! The way to one upstream: its URLs, their addresses, TLS and idle connections, and how much of it is used.
//!
//! ```text
//! endpoint   one URL
//! connect    name -> addresses -> TCP -> tunnel -> TLS
//! order      which address first; race: not one after the other; tunnel: through a proxy
//! outside    hosts that are no service's
//! reach      whether a server can be reached, and no more
//! pool       idle connections
//! version    HTTP/1.1 or HTTP/2; http2: connections that requests share
//! health     failures in a row
//! limits     requests at a time and in a time, the circuit
//! ```
//!
//! A connection is verified before it is handed out, belongs to one service only, and is taken back only by the code
//! that read a whole response from it.

mod acquire;
mod circuit_breaker;
mod connect;
mod endpoint;
mod http2;
mod limits;
mod passthrough;
mod pool;
mod stream;

use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;

use crate::config::{ServiceConfig, Timeouts};
use crate::net::dns::Resolver;

pub use acquire::ProtocolRequirements;
pub use connect::connector::ConnectError;
pub use connect::reachability::ConnectProbe;
pub use endpoint::{Connection, Endpoint, EndpointTls};
pub use http2::{PingHandle, is_unprocessed};
pub use limits::{LimitExceeded, RequestPermit};
pub use passthrough::{PassthroughConnector, PassthroughError};
pub use stream::Stream;

use circuit_breaker::Transition;
use limits::Limits;

/// One service's upstream.
pub struct Upstream {
    endpoints: Box<[Endpoint]>,
    next: AtomicUsize,
    limits: Option<Box<Limits>>,
    name: String,
    /// Limits on waiting.
    pub timeouts: Timeouts,
    /// `max_request_body`
    pub max_request_body: Option<u64>,
    /// `retry_idempotent`
    pub retry_idempotent: bool,
}

impl Upstream {
    /// Prepares the way; nothing is connected yet. `tls` is for each URL, in the order of the configuration;
    /// `proxy_authorization` for the proxy of `proxy_url`.
    pub fn new(
        service: &ServiceConfig,
        tls: Vec<EndpointTls>,
        resolver: &Resolver,
        proxy_authorization: Option<&HeaderValue>,
    ) -> Self {
        let endpoints = service.upstreams().zip(tls).map(|(url, tls)| {
            Endpoint::new(url, service, tls, resolver.clone(), proxy_authorization.cloned())
        });
        Self {
            endpoints: endpoints.collect(),
            next: AtomicUsize::new(0),
            limits: Limits::new(&service.options),
            name: service.name.clone(),
            timeouts: service.timeouts.clone(),
            max_request_body: service.options.max_request_body,
            retry_idempotent: service.options.retry_idempotent,
        }
    }

    /// Whether there are several URLs.
    pub fn has_alternatives(&self) -> bool {
        self.endpoints.len() > 1
    }

    /// Every URL.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The URL whose turn it is. One that does not answer is passed over; if none does, each has its turn all the same.
    pub fn pick(&self) -> &Endpoint {
        let [only] = &*self.endpoints else { return self.pick_among(&[]) };
        only
    }

    /// Another one than these, which have just failed; `None` if there is none left.
    pub fn pick_another(&self, failed: &[&Endpoint]) -> Option<&Endpoint> {
        (failed.len() < self.endpoints.len()).then(|| self.pick_among(failed))
    }

    fn pick_among(&self, failed: &[&Endpoint]) -> &Endpoint {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.endpoints.len();
        let in_turn = || (0..count).map(|step| &self.endpoints[turn.wrapping_add(step) % count]);
        let mut left =
            in_turn().filter(|endpoint| !failed.iter().any(|other| std::ptr::eq(*other, *endpoint)));
        let fallback = left.clone().next();
        left.find(|endpoint| endpoint.is_available()).or(fallback).unwrap_or(&self.endpoints[0])
    }

    /// Leave to send one request, where there are limits.
    pub fn try_acquire(&self) -> Result<Option<RequestPermit<'_>>, LimitExceeded> {
        self.limits.as_ref().map_or(Ok(None), |limits| limits.try_acquire())
    }

    /// A request got an answer with this status.
    pub fn record_response(&self, endpoint: &Endpoint, status: u16) {
        // A gateway says that nobody is behind it.
        if matches!(status, 502..=504) {
            return self.record_failure(endpoint);
        }
        endpoint.record_success();
        if let Some(breaker) = self.limits.as_ref().and_then(|limits| limits.circuit_breaker.as_ref())
            && breaker.record_success() == Transition::Closed
        {
            tracing::info!(service.name = self.name, "circuit closed: the upstream answers again");
        }
    }

    /// A request got no answer.
    pub fn record_failure(&self, endpoint: &Endpoint) {
        endpoint.record_failure(self.has_alternatives());
        if let Some(breaker) = self.limits.as_ref().and_then(|limits| limits.circuit_breaker.as_ref())
            && breaker.record_failure() == Transition::Opened
        {
            tracing::warn!(
                service.name = self.name,
                "circuit open: the last requests failed, so nothing is sent to the upstream for a while"
            );
        }
    }

    /// The number of open connections that no request is using.
    pub fn idle_connections(&self) -> usize {
        self.endpoints.iter().map(Endpoint::idle_connections).sum()
    }

    /// Whether the circuit breaker is open; `None` if there is none.
    pub fn is_circuit_breaker_open(&self) -> Option<bool> {
        let breaker = self.limits.as_ref().and_then(|limits| limits.circuit_breaker.as_ref())?;
        Some(breaker.is_open())
    }

    /// Keeps no connection from now on: the service is gone, or its upstream is another.
    pub fn retire(&self) {
        self.endpoints.iter().for_each(Endpoint::retire);
    }

    /// Closes connections that were idle for too long; called now and then.
    pub fn sweep(&self) {
        self.endpoints.iter().for_each(Endpoint::sweep);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Auth, Host, Tls, UpstreamOptions};
    use crate::secret::Secret;

    /// An upstream that is never connected to, for tests of what is written to it.
    pub(crate) fn upstream(authority: &str, base_path: &str) -> Upstream {
        urls(&[authority], base_path)
    }

    fn urls(authorities: &[&str], base_path: &str) -> Upstream {
        let url = |authority: &&str| {
            let (host, port) = authority.split_once(':').unwrap();
            crate::config::UpstreamUrl {
                tls: true,
                host: Host::Name(host.into()),
                port: port.parse().unwrap(),
                base_path: base_path.into(),
            }
        };
        let mut urls = authorities.iter().map(url);
        let service = ServiceConfig {
            name: "test".into(),
            upstream: urls.next().unwrap(),
            hosts: vec![],
            listen: vec![],
            auth: Auth::Bearer { token: Secret::new("t".into()).unwrap(), previous: None },
            tls: Tls::default(),
            protocol: crate::config::Protocol::default(),
            timeouts: Timeouts::default(),
            options: UpstreamOptions { alternatives: urls.collect(), ..UpstreamOptions::default() },
            token_wait: Duration::ZERO,
            rewrite_location: true,
            replay_on_401: true,
            optional: false,
        };
        let tls = authorities.iter().map(|_| None).collect();
        Upstream::new(&service, tls, &Resolver::from_system().unwrap(), None)
    }

    #[test]
    fn urls_take_turns_and_one_that_fails_is_passed_over_but_never_all() {
        let upstream = urls(&["a.example:1", "b.example:1", "c.example:1"], "");
        let picked = |count| -> Vec<_> { (0..count).map(|_| &*upstream.pick().authority).collect() };
        assert_eq!(picked(4), ["a.example:1", "b.example:1", "c.example:1", "a.example:1"]);
        let [a, b, c] = upstream.endpoints() else { panic!() };
        for _ in 0..3 {
            upstream.record_response(b, 503);
        }
        assert!(!picked(9).contains(&"b.example:1"));
        assert!(std::ptr::eq(upstream.pick_another(&[a, b]).unwrap(), c));
        assert!(std::ptr::eq(upstream.pick_another(&[a, c]).unwrap(), b), "better one that failed than none");
        assert!(upstream.pick_another(&[a, b, c]).is_none());
        for _ in 0..3 {
            upstream.record_failure(a);
            upstream.record_failure(c);
        }
        let all = picked(3);
        assert!(["a.example:1", "b.example:1", "c.example:1"].iter().all(|one| all.contains(one)), "{all:?}");
        upstream.record_response(b, 200);
        assert_eq!(picked(3), ["b.example:1"; 3]);
    }
}
