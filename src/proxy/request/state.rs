//! The state of a request in flight, and what is recorded when it ends. The other files of this module add
//! its steps: `exchange` calls `retry`, which calls `send`, which calls `failover`, which calls `rewrite`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::caller::RequestCaller;
use super::prepare::{PreparedRequest, protocol_requirements};
use super::wildcard::EndpointSlot;
use crate::credential::{CredentialVersion, SentSecrets};
use crate::metrics::MethodLabel;
use crate::oauth2::caller_tokens::Subject;
use crate::proxy::access_log;
use crate::proxy::error::ProxyError;
use crate::proxy::request_id::RequestId;
use crate::proxy::session::{ConnectionContext, TrackGuard};
use crate::proxy::span::{RequestOutcome, Span};
use crate::proxy::wire::body::Body;
use crate::proxy::wire::framing::Framing;
use crate::proxy::wire::parse_head::RequestMeta;
use crate::proxy::wire::response_urls::CallerAuthority;
use crate::proxy::wire::timer::ReusableTimer;
use crate::runtime::route::MatchKind;
use crate::runtime::service::Service;
use crate::upstream::{Connection, Endpoint, PingHandle, ProtocolRequirements, RequestPermit};

/// The body of a request before any of it was passed on.
pub(crate) fn whole_body(service: &Service, meta: &RequestMeta) -> Body<'static> {
    let mut framing = meta.body.framing(|| service.removed.clone());
    if let Framing::Chunked(decoder) = &mut framing {
        if let Some(max) = service.upstream.max_request_body {
            decoder.set_limit(max);
        }
        if meta.has_rules {
            decoder.set_rules();
        }
    }
    Body::new(framing)
}

/// A body that was read because the credential signs it.
pub(crate) struct SignedBody {
    pub(super) content: Vec<u8>,
    /// Where the body ends in the read buffer, counted from the start of the head.
    pub(super) end: usize,
    pub(super) is_expect_answered: bool,
}

impl SignedBody {
    /// The content, without transfer coding.
    pub(crate) fn content(&self) -> &[u8] {
        &self.content
    }

    /// Whether Sidekey has answered the caller's `Expect: 100-continue` (RFC 9110 §10.1.1) in the upstream's
    /// place.
    pub(crate) fn is_expect_answered(&self) -> bool {
        self.is_expect_answered
    }
}

/// A request in flight. It is counted until it is dropped, in whatever way it ends.
pub(crate) struct Request<'p> {
    pub(crate) context: &'p ConnectionContext,
    /// Counts the request as in flight until its span and its log line are written: a shutdown exports spans
    /// when no request is in flight.
    _in_flight: TrackGuard<'p>,
    pub(crate) service: &'p Service,
    /// The URL that the head was written for.
    pub(crate) endpoint: &'p Endpoint,
    /// What holds the endpoint, if the service does not.
    pub(super) slot: &'p EndpointSlot,
    /// The connection for the next attempt, if it was opened before the head was written.
    pub(crate) connection: Option<Connection>,
    /// The address that the request was last sent to.
    pub(crate) address: Option<SocketAddr>,
    /// The permit of the service's limits, kept until the request ends.
    pub(crate) permit: Option<RequestPermit<'p>>,
    /// Whether it is the probe of the circuit breaker.
    pub(crate) is_probe: bool,
    /// The permit of the caller's limits, kept until the request ends.
    _caller_permit: Option<RequestPermit<'p>>,
    /// The caller; `None` if the configuration has no callers.
    pub(super) caller: Option<RequestCaller<'p>>,
    pub(crate) meta: RequestMeta,
    pub(crate) protocol_requirements: ProtocolRequirements,
    /// The length of the caller's head in bytes.
    pub(crate) head_length: usize,
    /// The token of the caller, if the credential needs it.
    pub(super) subject: Option<Box<Subject>>,
    /// The version of the credential that the request was last signed with.
    pub(crate) used: CredentialVersion,
    /// The secrets that the request was last signed with, if they may be replaced before the response comes.
    pub(super) sent: SentSecrets,
    /// The version before, which the upstream rejected.
    pub(crate) rejected: Option<CredentialVersion>,
    /// Whether the request was signed again with what a 401 gave, without a rejection of the credential.
    pub(crate) is_signed_again: bool,
    /// The body, if the credential signs it.
    pub(crate) signed_body: Option<SignedBody>,
    /// Whether the response is gRPC's for a credential that is not accepted, and came whole with its head.
    pub(crate) is_grpc_unauthenticated: bool,
    /// Whether a rule of the service (`refresh_on`) says that the credential was not accepted.
    pub(super) is_rejected_by_rule: bool,
    /// Whether the head of the response was passed to the signer.
    pub(crate) is_observed: bool,
    pub(crate) method: MethodLabel,
    path: Option<String>,
    /// The caller's identifier, if the access log is on; of a request that failed, the one that was reported.
    pub(crate) id: Option<RequestId>,
    pub(crate) matched_by: MatchKind,
    /// The authority that the caller used, for URLs in the response.
    pub(crate) caller_authority: CallerAuthority,
    pub(crate) start: Instant,
    /// The span of the request, if it is recorded.
    pub(crate) span: Option<Box<Span>>,
    /// The status that was sent to the caller; set when the response begins.
    pub(crate) status: Option<u16>,
    pub(crate) failure: Option<ProxyError>,
    pub(crate) body: Body<'static>,
    /// Whether the body is being sent. What was read of it was then written to the upstream, except for the
    /// bytes that `body` counts.
    pub(crate) is_sending: bool,
    /// The time until a connection to one of several URLs was open.
    pub(crate) connect_time: Duration,
    /// The `Sec-WebSocket-Accept` that the upstream must send, if the WebSocket is for an HTTP/2 caller.
    pub(crate) expected_ws_accept: Option<String>,
    /// Whether the request was last sent by HTTP/2.
    pub(crate) is_upstream_http2: bool,
    /// Requests a PING on the connection that the request was last sent by.
    pub(crate) ping: Option<PingHandle>,
    pub(crate) timer: &'p mut ReusableTimer,
}

impl<'p> Request<'p> {
    /// Starts to count and to measure a prepared request.
    pub(crate) fn begin(
        context: &'p ConnectionContext,
        prepared: PreparedRequest<'p>,
        slot: &'p EndpointSlot,
        head_length: usize,
        is_http2: bool,
        timer: &'p mut ReusableTimer,
    ) -> Self {
        prepared.service.metrics.begin();
        let PreparedRequest {
            service,
            endpoint,
            meta,
            method,
            path,
            request_id,
            signed,
            sent,
            matched_by,
            caller_authority,
            span,
            caller,
            caller_permit,
            subject,
        } = prepared;
        Self {
            context,
            _in_flight: context.plane.track(),
            service,
            endpoint,
            slot,
            connection: None,
            address: None,
            permit: None,
            is_probe: false,
            _caller_permit: caller_permit,
            caller,
            protocol_requirements: protocol_requirements(&meta, is_http2),
            body: whole_body(service, &meta),
            meta,
            head_length,
            subject,
            used: signed.unwrap_or(CredentialVersion::STATIC),
            sent,
            rejected: None,
            is_signed_again: false,
            signed_body: None,
            is_grpc_unauthenticated: false,
            is_rejected_by_rule: false,
            is_observed: false,
            method,
            path,
            id: request_id,
            matched_by,
            caller_authority,
            start: Instant::now(),
            span,
            status: None,
            failure: None,
            is_sending: false,
            connect_time: Duration::ZERO,
            expected_ws_accept: None,
            is_upstream_http2: false,
            ping: None,
            timer,
        }
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.service.upstream.probe_ended();
        }
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
            request_id: self.id.as_ref(),
            failure: self.failure.as_ref(),
            caller: self.caller.as_ref().map(RequestCaller::name),
        });
    }
}
