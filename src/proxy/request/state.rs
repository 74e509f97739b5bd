//! A request in flight: its fields, and what is recorded when it ends. The files beside this one add what is done with it;
//! `exchange` calls `retry`, which calls `send`, which calls `failover`, which calls `rewrite`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::prepare::PreparedRequest;
use crate::credential::CredentialVersion;
use crate::metrics::MethodLabel;
use crate::proxy::access_log;
use crate::proxy::error::ProxyError;
use crate::proxy::session::{ConnectionContext, InFlightGuard};
use crate::proxy::span::{RequestOutcome, Span};
use crate::proxy::wire::framing::Framing;
use crate::proxy::wire::parse_head::RequestMeta;
use crate::proxy::wire::relay::Body;
use crate::proxy::wire::timer::ReusableTimer;
use crate::runtime::route::MatchKind;
use crate::runtime::service::Service;
use crate::upstream::{Connection, Endpoint, PingHandle, ProtocolRequirements, RequestPermit};

/// A request's body before any of it was passed on.
pub(crate) fn whole_body(service: &Service, meta: &RequestMeta) -> Body {
    let mut framing = meta.body.framing(|| service.credential.signer().owned().clone());
    if let (Framing::Chunked(chunks), Some(most)) = (&mut framing, service.upstream.max_request_body) {
        chunks.limit(most);
    }
    Body::new(framing)
}

/// A body that is signed.
pub(crate) struct SignedBody {
    pub(super) content: Vec<u8>,
    pub(super) is_expect_answered: bool,
}

impl SignedBody {
    /// The content, without transfer coding.
    pub(crate) fn content(&self) -> &[u8] {
        &self.content
    }

    /// Whether Sidekey has answered the caller's `Expect: 100-continue` (RFC 9110 §10.1.1) in the upstream's place.
    pub(crate) fn is_expect_answered(&self) -> bool {
        self.is_expect_answered
    }
}

/// A request in flight; counted until it is dropped, however it ends.
pub(crate) struct Request<'p> {
    pub(crate) context: &'p ConnectionContext,
    /// Until all is said of the request: a shutdown exports spans when none is in flight any more.
    _counted: InFlightGuard<'p>,
    pub(crate) service: &'p Service,
    /// The URL that the head was written for.
    pub(crate) endpoint: &'p Endpoint,
    /// Where it comes before the head.
    pub(crate) connection: Option<Connection>,
    /// Where the request was last sent to.
    pub(crate) address: Option<SocketAddr>,
    /// Kept until the request is over.
    pub(crate) permit: Option<RequestPermit<'p>>,
    pub(crate) meta: RequestMeta,
    pub(crate) protocol_requirements: ProtocolRequirements,
    /// How much of the caller's bytes the head is.
    pub(crate) head_length: usize,
    /// The version of the credential that it was sent with.
    pub(crate) used: CredentialVersion,
    /// The version before, which the upstream rejected.
    pub(crate) rejected: Option<CredentialVersion>,
    /// The body, if the credential signs it.
    pub(crate) signed_body: Option<SignedBody>,
    /// Whether the credential has seen the head of the response.
    pub(crate) is_observed: bool,
    pub(crate) method: MethodLabel,
    path: Option<String>,
    pub(crate) matched_by: MatchKind,
    pub(crate) start: Instant,
    /// Where it is recorded.
    pub(crate) span: Option<Box<Span>>,
    /// The status that the caller was sent, from the moment the response began.
    pub(crate) status: Option<u16>,
    pub(crate) failure: Option<ProxyError>,
    pub(crate) body: Body,
    /// The body is on its way, and all that has come of it has been passed on but for what `body` counts.
    pub(crate) is_sending: bool,
    /// How long it took to find a URL that takes a connection.
    pub(crate) connect_time: Duration,
    /// What proves that an upstream switched to the WebSocket that was asked for on behalf of an HTTP/2 caller.
    pub(crate) expected_ws_accept: Option<String>,
    /// About the connection that it was last sent by.
    pub(crate) ping: Option<PingHandle>,
    pub(crate) timer: &'p mut ReusableTimer,
}

impl<'p> Request<'p> {
    pub(crate) fn begin(
        context: &'p ConnectionContext,
        found: PreparedRequest<'p>,
        head_length: usize,
        is_http2: bool,
        timer: &'p mut ReusableTimer,
    ) -> Self {
        found.service.metrics.begin();
        let PreparedRequest { service, endpoint, meta, method, path, signed, matched_by, span } = found;
        Self {
            context,
            _counted: context.plane.track(),
            service,
            endpoint,
            connection: None,
            address: None,
            permit: None,
            protocol_requirements: ProtocolRequirements {
                downstream_http2: is_http2,
                websocket: meta.is_websocket,
            },
            body: whole_body(service, &meta),
            meta,
            head_length,
            used: signed.unwrap_or(CredentialVersion::STATIC),
            rejected: None,
            signed_body: None,
            is_observed: false,
            method,
            path,
            matched_by,
            start: Instant::now(),
            span,
            status: None,
            failure: None,
            is_sending: false,
            connect_time: Duration::ZERO,
            expected_ws_accept: None,
            ping: None,
            timer,
        }
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let took = self.start.elapsed();
        self.service.metrics.end(self.method, self.status, took);
        if let (Some(span), Some(tracer)) = (self.span.take(), &self.context.snapshot().tracer) {
            let failure = self.failure.as_ref();
            tracer.record(span.end(&RequestOutcome {
                service: self.service,
                endpoint: self.endpoint,
                method: self.method,
                address: self.address,
                status: self.status,
                failure: failure.map(|failure| (failure.reason.as_str(), &*failure.cause)),
                took,
            }));
        }
        access_log::write(&access_log::Entry {
            service: &self.service.name,
            method: self.method,
            path: self.path.as_deref(),
            status: self.status,
            took,
            failure: self.failure.as_ref(),
        });
    }
}
