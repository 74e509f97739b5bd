//! The upstream of one service: its endpoints, which take turns, and the limits on its use.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderName, HeaderValue};

use super::circuit_breaker::Transition;
use super::connect::ConnectError;
use super::endpoint::{Endpoint, EndpointSettings, EndpointTls};
use super::limits::{LimitExceeded, Limits, RequestPermit};
use super::wildcard::WildcardUpstream;
use crate::config::{ResponseHeadLimits, ServiceConfig, Timeouts};
use crate::net::dns::Resolver;
use crate::tls::client::TlsClient;

/// The upstream of one service.
pub struct Upstream {
    /// One for each URL; none with a wildcard.
    pub(super) endpoints: Box<[Endpoint]>,
    /// The hosts of the URL with a wildcard, if it has one.
    wildcard: Option<Box<WildcardUpstream>>,
    /// The number of picks so far. Modulo the number of endpoints it is the index of the next one.
    next: AtomicUsize,
    limits: Option<Box<Limits>>,
    name: String,
    sensitive_headers: Arc<[HeaderName]>,
    /// The time limits of requests.
    pub timeouts: Timeouts,
    /// The limit on the body of a request in bytes (`max_request_body`).
    pub max_request_body: Option<u64>,
    /// The limits on the head of a response (`max_response_head`).
    pub max_response_head: ResponseHeadLimits,
    /// Whether an idempotent request is retried even if the lost connection was new (`retry_idempotent`).
    pub retry_idempotent: bool,
}

/// TLS toward an upstream.
pub enum UpstreamTls {
    /// For each URL, in the order of the configuration.
    Each(Vec<EndpointTls>),
    /// For every host of the URL with a wildcard, each of which must prove its own name; `None` for `http`.
    Wildcard(Option<Arc<TlsClient>>),
}

impl Upstream {
    /// An upstream without connections. `tls` is for each URL, in the order of the configuration;
    /// `proxy_authorization` is for the proxy of `proxy`. `sensitive_headers` names the fields that hold
    /// the credential: HTTP/2 connections, which callers share, keep their values out of the HPACK table.
    pub fn new(
        service: &ServiceConfig,
        tls: UpstreamTls,
        resolver: &Resolver,
        proxy_authorization: Option<&HeaderValue>,
        sensitive_headers: Vec<HeaderName>,
    ) -> Self {
        let sensitive_headers: Arc<[HeaderName]> = sensitive_headers.into();
        let settings = EndpointSettings {
            options: service.options.clone(),
            protocol: service.protocol,
            resolver: resolver.clone(),
            proxy_authorization: proxy_authorization.cloned(),
            sensitive_headers: sensitive_headers.clone(),
        };
        let (endpoints, wildcard) = match tls {
            UpstreamTls::Each(tls) => {
                let urls = service.upstreams().zip(tls);
                (urls.map(|(url, tls)| Endpoint::new(url, tls, &settings)).collect(), None)
            }
            UpstreamTls::Wildcard(client) => {
                let wildcard = WildcardUpstream::new(&service.upstream, &service.hosts, client, settings);
                (Box::default(), Some(Box::new(wildcard)))
            }
        };
        Self {
            endpoints,
            wildcard,
            next: AtomicUsize::new(0),
            limits: Limits::new(&service.options),
            name: service.name.clone(),
            sensitive_headers,
            timeouts: service.timeouts.clone(),
            max_request_body: service.options.max_request_body,
            max_response_head: service.options.max_response_head,
            retry_idempotent: service.options.retry_idempotent,
        }
    }

    /// Whether the upstream has more than one URL.
    pub fn has_alternatives(&self) -> bool {
        self.endpoints.len() > 1
    }

    /// Names of the fields that hold the credential.
    pub fn sensitive_headers(&self) -> &[HeaderName] {
        &self.sensitive_headers
    }

    /// The hosts of the URL with a wildcard; `None` if no URL has one.
    pub fn wildcard(&self) -> Option<&WildcardUpstream> {
        self.wildcard.as_deref()
    }

    /// Every endpoint, in the order of the configuration. With a wildcard there is none before a request names its host.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Picks the next endpoint in turn. An endpoint whose circuit breaker is open is passed over, unless the
    /// circuit breakers of all endpoints are open. `None` with a wildcard.
    pub fn pick(&self) -> Option<&Endpoint> {
        match &*self.endpoints {
            [only] => Some(only),
            [] => None,
            _ => Some(self.pick_among(&[])),
        }
    }

    /// The endpoint that was picked before; `None` if it is none of these, as with a wildcard.
    pub fn same(&self, before: &Endpoint) -> Option<&Endpoint> {
        self.endpoints.iter().find(|own| std::ptr::eq(*own, before))
    }

    /// Picks an endpoint that is none of `failed`; `None` if there is no other.
    pub fn pick_another(&self, failed: &[&Endpoint]) -> Option<&Endpoint> {
        (failed.len() < self.endpoints.len()).then(|| self.pick_among(failed))
    }

    fn pick_among(&self, failed: &[&Endpoint]) -> &Endpoint {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.endpoints.len();
        let in_turn = || (0..count).map(|step| &self.endpoints[turn.wrapping_add(step) % count]);
        let mut candidates =
            in_turn().filter(|endpoint| !failed.iter().any(|other| std::ptr::eq(*other, *endpoint)));
        let fallback = candidates.clone().next();
        candidates.find(|endpoint| endpoint.is_available()).or(fallback).unwrap_or(&self.endpoints[0])
    }

    /// Acquires the permit to send one request; `None` if no limit counts requests in flight.
    pub fn try_acquire(&self) -> Result<Option<RequestPermit<'_>>, LimitExceeded> {
        self.limits.as_ref().map_or(Ok(None), |limits| limits.try_acquire())
    }

    /// Asks the circuit breaker whether a request that has its permit may be sent. Returns whether it is the probe.
    ///
    /// # Errors
    ///
    /// If the circuit breaker is open.
    pub fn try_pass_breaker(&self) -> Result<bool, LimitExceeded> {
        self.limits.as_ref().map_or(Ok(false), |limits| limits.try_pass_breaker())
    }

    /// Records that the probe of the circuit breaker has ended, with a result or without.
    pub fn probe_ended(&self) {
        if let Some(breaker) = self.limits.as_ref().and_then(|limits| limits.circuit_breaker.as_ref()) {
            breaker.probe_ended();
        }
    }

    /// Records that a request got a response with this status.
    pub fn record_response(&self, endpoint: &Endpoint, status: u16) {
        // The statuses of a gateway whose own upstream fails.
        if matches!(status, 502..=504) {
            return self.record_failure(endpoint);
        }
        endpoint.record_success();
        if let Some(breaker) = self.limits.as_ref().and_then(|limits| limits.circuit_breaker.as_ref())
            && breaker.record_success() == Transition::Closed
        {
            tracing::info!(sidekey.service = self.name, "circuit breaker closed: the upstream answers again");
        }
    }

    /// Records that a request got no response.
    pub fn record_failure(&self, endpoint: &Endpoint) {
        endpoint.record_failure(self.has_alternatives());
        if let Some(breaker) = self.limits.as_ref().and_then(|limits| limits.circuit_breaker.as_ref())
            && breaker.record_failure() == Transition::Opened
        {
            tracing::warn!(
                sidekey.service = self.name,
                "circuit breaker open: the last requests failed, so requests are rejected for a while"
            );
        }
    }

    /// Records that no connection could be opened. A host below a wildcard that has no address says nothing about the upstream: it is
    /// the caller who names the host.
    pub fn record_connect_error(&self, endpoint: &Endpoint, error: &ConnectError) {
        let is_of_caller = self.wildcard.is_some() && matches!(error, ConnectError::Dns { .. });
        if error.is_of_upstream() && !is_of_caller {
            self.record_failure(endpoint);
        }
    }

    /// Requests that failed since the last that got a response: those of the endpoint that has the fewest. A response with the
    /// status of a gateway whose own upstream fails (502, 503, 504) is a failure.
    pub fn consecutive_failures(&self) -> u32 {
        let failures = self.endpoints.iter().map(Endpoint::consecutive_failures).min();
        failures.or_else(|| self.wildcard()?.min_consecutive_failures()).unwrap_or_default()
    }

    /// When the first certificate ends of those that the servers of all URLs presented last, in seconds of Unix time.
    pub fn certificate_end(&self) -> Option<f64> {
        let end = self.endpoints.iter().filter_map(Endpoint::certificate_end).reduce(f64::min);
        end.or_else(|| self.wildcard()?.certificate_end())
    }

    /// The number of open connections that no request is using.
    pub fn idle_connections(&self) -> usize {
        let idle: usize = self.endpoints.iter().map(Endpoint::idle_connections).sum();
        idle + self.wildcard().map_or(0, WildcardUpstream::idle_connections)
    }

    /// Whether the circuit breaker is open; `None` if there is none.
    pub fn is_circuit_breaker_open(&self) -> Option<bool> {
        let breaker = self.limits.as_ref().and_then(|limits| limits.circuit_breaker.as_ref())?;
        Some(breaker.is_open())
    }

    /// Closes idle connections, and keeps none from now on: the service was removed, or its upstream was
    /// replaced.
    pub fn retire(&self) {
        self.endpoints.iter().for_each(Endpoint::retire);
        self.wildcard().into_iter().for_each(WildcardUpstream::retire);
    }

    /// Closes connections that were idle for too long; called periodically.
    pub fn sweep(&self) {
        self.endpoints.iter().for_each(Endpoint::sweep);
        self.wildcard().into_iter().for_each(WildcardUpstream::sweep);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{
        Auth, AuthFacts, Host, Labels, LeakGuardMode, Origin, Readiness, Tls, UpstreamOptions,
    };

    fn with_urls(authorities: &[&str], base_path: &str) -> Upstream {
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
            auth: Auth::new("bearer", (), AuthFacts::default()),
            headers: crate::config::HeaderChanges::default(),
            rules: None,
            tls: Tls::default(),
            protocol: crate::config::Protocol::default(),
            timeouts: Timeouts::default(),
            options: UpstreamOptions { alternatives: urls.collect(), ..UpstreamOptions::default() },
            token_wait: Duration::ZERO,
            rewrite_location: true,
            leak_guard: LeakGuardMode::Headers,
            via: false,
            retry_on_401: true,
            refresh_on: None,
            readiness: Readiness::First,
            labels: Labels::new(),
            origin: Origin("a.yaml".into()),
        };
        let tls = UpstreamTls::Each(authorities.iter().map(|_| None).collect());
        Upstream::new(&service, tls, &Resolver::from_system().unwrap(), None, vec![])
    }

    #[test]
    fn pick_rotates_and_passes_over_failed_but_never_all() {
        let upstream = with_urls(&["a.example:1", "b.example:1", "c.example:1"], "");
        let picked = |count| -> Vec<_> { (0..count).map(|_| &*upstream.pick().unwrap().authority).collect() };
        assert_eq!(picked(4), ["a.example:1", "b.example:1", "c.example:1", "a.example:1"]);
        let [a, b, c] = upstream.endpoints() else { panic!() };
        for _ in 0..3 {
            upstream.record_response(b, 503);
        }
        assert!(!picked(9).contains(&"b.example:1"));
        assert!(std::ptr::eq(upstream.pick_another(&[a, b]).unwrap(), c));
        assert!(
            std::ptr::eq(upstream.pick_another(&[a, c]).unwrap(), b),
            "an ejected endpoint is used if there is no other"
        );
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
