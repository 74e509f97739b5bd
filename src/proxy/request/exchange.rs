//! One request: prepare it, ask the upstream, pass the answer back. Whatever goes wrong before the answer has begun
//! becomes one [`ProxyError`].

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::header::SEC_WEBSOCKET_ACCEPT;
use tokio::time::timeout;

use super::prepare::{PreparedRequest, prepare};
use super::refuse::refuse;
use crate::credential::Used;
use crate::metrics::MethodLabel;
use crate::net::buffer::Buffer;
use crate::oauth2::dpop_key::NONCE_HEADER;
use crate::proto::http2::websocket;
use crate::proxy::access_log;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::span::{RequestOutcome, Span, SpanSource};
use crate::proxy::wire::framing::Framing;
use crate::proxy::wire::location::Locations;
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::{BodyKind, HeaderBuffer, RequestMeta};
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::{Body, BodyHalf, Io, RelayError};
use crate::proxy::wire::timer::ReusableTimer;
use crate::proxy::wire::tunnel;
use crate::proxy::wire::write_head;
use crate::proxy::wire::write_head::TransferMode;
use crate::proxy::{ConnectionContext, InFlightGuard};
use crate::runtime::route::MatchKind;
use crate::runtime::service::Service;
use crate::upstream::{Connection, Endpoint, PingHandle, ProtocolRequirements, RequestPermit};

/// What a caller is told whose body did not come.
pub(crate) const LATE_BODY: &str = "The request's body did not arrive in time.";

/// What becomes of the caller's connection.
pub(crate) enum Disposition {
    /// The next request.
    KeepAlive,
    /// The caller may still be sending: listen for a moment, so that it gets the answer.
    LingeringClose,
    /// At once.
    Close,
    /// At once, and so that half an answer is not taken for a whole one.
    Abort(RelayError),
}

/// Why a request ended other than well.
pub(crate) enum ExchangeError {
    /// Before the answer began: the caller is told.
    Respond(ProxyError),
    /// The caller is gone, or half an answer is out: the connection is cut, so that nobody takes the half for the whole.
    Abort(RelayError),
}

impl From<ProxyError> for ExchangeError {
    fn from(failure: ProxyError) -> Self {
        Self::Respond(failure)
    }
}

/// Serves the request whose head is the first `length` bytes of `buffer`; `is_http2`: of a caller that speaks HTTP/2.
pub(crate) async fn run(
    context: &ConnectionContext,
    io: &mut impl Io,
    buffer: &mut Buffer,
    length: usize,
    is_http2: bool,
    timer: &mut ReusableTimer,
) -> Disposition {
    let mut out = Buffer::acquire();
    let begin = SpanSource::Start;
    let found = match prepare(context, &buffer.filled()[..length], &mut out, &[], None, begin) {
        Ok(found) => found,
        Err(rejection) => {
            buffer.consume(length);
            return refuse(context, io, rejection, timer).await;
        }
    };
    let mut request = Request::begin(context, found, length, is_http2, timer);
    if request.protocol_requirements.downstream_http2 && request.protocol_requirements.websocket {
        request.expected_ws_accept = websocket::expected_accept(&buffer.filled()[..length]);
    }
    if out.is_empty() {
        // No credential yet: the very first token may be on its way.
        request.service.credential.wait_for_first(request.service.token_wait).await;
        let span_source = SpanSource::Existing(request.span.as_deref());
        if let Ok(found) = prepare(context, &buffer.filled()[..length], &mut out, &[], None, span_source) {
            debug_assert!(std::ptr::eq(found.service, request.service));
            request.used = found.used;
            request.endpoint = found.endpoint;
        }
    }
    if request.may_retry_after_401()
        || request.endpoint.may_share(request.protocol_requirements)
        || request.service.upstream.has_alternatives()
    {
        buffer.retain();
    }
    let admitted = request.admit(buffer, length, &mut out).await;
    buffer.consume(length);
    let outcome = match admitted {
        Ok(()) => request.serve_in_time(io, buffer, &mut out).await,
        Err(failure) => Err(failure.into()),
    };
    buffer.release_retained();
    match outcome {
        Ok(after) => after,
        Err(ExchangeError::Respond(failure)) => request.fail(io, failure, &mut out).await,
        Err(ExchangeError::Abort(broken)) => {
            tracing::debug!(service.name = request.service.name, "answer cut short: {broken}");
            if let Some(span) = &mut request.span {
                span.cut(&broken);
            }
            Disposition::Abort(broken)
        }
    }
}

/// A request's body before any of it was passed on.
pub(crate) fn whole_body(service: &Service, meta: &RequestMeta) -> Body {
    let mut framing = meta.body.framing(|| service.credential.slot().clone());
    if let (Framing::Chunked(chunks), Some(most)) = (&mut framing, service.upstream.max_request_body) {
        chunks.limit(most);
    }
    Body::new(framing)
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
    permit: Option<RequestPermit<'p>>,
    pub(crate) meta: RequestMeta,
    pub(crate) protocol_requirements: ProtocolRequirements,
    /// How much of the caller's bytes the head is.
    pub(crate) head_length: usize,
    /// The credential that it was sent with.
    pub(crate) used: Used,
    /// The one before, which the upstream answered 401.
    pub(crate) refused: Option<Used>,
    method: MethodLabel,
    path: Option<String>,
    way: MatchKind,
    pub(crate) start: Instant,
    /// Where it is recorded.
    pub(crate) span: Option<Box<Span>>,
    /// What the caller was answered, from the moment the answer began.
    status: Option<u16>,
    failure: Option<ProxyError>,
    pub(crate) body: Body,
    /// The body is on its way, and all that has come of it has been passed on but for what `body` counts.
    pub(crate) is_sending: bool,
    /// How long it took to find a URL that takes a connection.
    connect_time: Duration,
    /// What proves that an upstream switched to the WebSocket that was asked for on behalf of an HTTP/2 caller.
    expected_ws_accept: Option<String>,
    /// About the connection that it was last sent by.
    pub(crate) ping: Option<PingHandle>,
    pub(crate) timer: &'p mut ReusableTimer,
}

impl<'p> Request<'p> {
    fn begin(
        context: &'p ConnectionContext,
        found: PreparedRequest<'p>,
        head_length: usize,
        is_http2: bool,
        timer: &'p mut ReusableTimer,
    ) -> Self {
        found.service.metrics.begin();
        let PreparedRequest { service, endpoint, meta, method, path, used, way, span } = found;
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
            used,
            refused: None,
            method,
            path,
            way,
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

    /// All that has to be so before a byte is sent: a credential in `out`, a body that is not too large, leave by the
    /// service's limits, and one of several URLs that takes a connection.
    async fn admit(&mut self, buffer: &Buffer, length: usize, out: &mut Buffer) -> Result<(), ProxyError> {
        let upstream = &self.service.upstream;
        if out.is_empty() {
            let failure = ProxyError::new(ErrorReason::CredentialUnavailable, "no usable credential");
            return Err(ProxyError { retry_after: Some(self.service.credential.retry_after()), ..failure });
        }
        if let (BodyKind::Length(length), Some(most)) = (&self.meta.body, upstream.max_request_body)
            && *length > most
        {
            let cause = format!("max_request_body: {length} bytes are more than {most}");
            return Err(ProxyError::new(ErrorReason::TooLarge, cause));
        }
        self.permit = upstream.try_acquire()?;
        if upstream.has_alternatives() {
            let began = Instant::now();
            let reaching = Box::pin(self.connect_any(&buffer.filled()[..length], out));
            match upstream.timeouts.total {
                None => reaching.await?,
                Some(total) => {
                    let Ok(reached) = timeout(total, reaching).await else {
                        upstream.record_failure(self.endpoint);
                        let cause = "no URL of the upstream took a connection within timeouts.total";
                        return Err(ProxyError::new(ErrorReason::UpstreamTimeout, cause));
                    };
                    reached?;
                }
            }
            self.connect_time = began.elapsed();
        }
        Ok(())
    }

    async fn serve_in_time(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<Disposition, ExchangeError> {
        let Some(total) = self.service.upstream.timeouts.total else {
            return self.serve(io, buffer, out).await;
        };
        let left = total.saturating_sub(self.connect_time);
        match timeout(left, self.serve(io, buffer, out)).await {
            Ok(outcome) => outcome,
            Err(_) if self.status.is_none() => Err(self.over().into()),
            Err(_) => Err(ExchangeError::Abort(RelayError::Idle)),
        }
    }

    /// `timeouts.total` is over before the answer began: whose doing that was.
    fn over(&mut self) -> ProxyError {
        if self.is_sending && self.body.awaits_more() {
            let cause = "the request's body did not arrive within timeouts.total";
            return ProxyError { detail: Some(LATE_BODY), ..ProxyError::new(ErrorReason::BadRequest, cause) };
        }
        if let Some(doubt) = self.ping.take() {
            doubt.request_ping();
        }
        self.service.upstream.record_failure(self.endpoint);
        ProxyError::new(ErrorReason::UpstreamTimeout, "the whole request took longer than timeouts.total")
    }

    /// Sends the head in `out` and the body, and passes the answer back.
    async fn serve(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<Disposition, ExchangeError> {
        let mut answer = Buffer::acquire();
        let (connection, length) = self.send_with_retry(io, buffer, out, &mut answer).await?;
        let plan = self.plan_response(&answer.filled()[..length], out)?;
        answer.consume(length);
        self.status = Some(plan.status);
        if plan.status == 101 {
            return self.tunnel(io, buffer, out, &mut answer, connection).await;
        }
        let keep_alive = plan.keep_alive;
        self.relay_response(io, buffer, out, &mut answer, connection, plan).await?;
        // A caller whose connection is not kept may have sent more: closed at once, it could lose the answer in a reset.
        Ok(if keep_alive && self.body.is_done() {
            Disposition::KeepAlive
        } else {
            Disposition::LingeringClose
        })
    }

    /// Takes the nonce that the upstream wants to see in the next proof; whether there is one, and it is new.
    pub(crate) fn hears_nonce(&self, fields: &[httparse::Header<'_>]) -> bool {
        let credential = &self.service.credential;
        let is_nonce = |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(NONCE_HEADER.as_str());
        let nonce = || fields.iter().find(is_nonce);
        credential.wants_nonces()
            && nonce().is_some_and(|field| credential.hears_nonce(&self.endpoint.origin, field.value))
    }

    /// How the URLs in an answer are to be understood, where they are to be rewritten at all.
    fn locations(&self, status: u16) -> Option<Locations<'_>> {
        let service = self.service;
        // Inside TLS by CONNECT the upstream's own URLs are the caller's as well.
        let is_at_home = self.way == MatchKind::UpstreamUrl
            && self.context.peer.intercepted().is_some_and(|within| within.is_tls);
        let is_new = status == 201 || (300..400).contains(&status);
        (service.rewrite_location && is_new && !is_at_home).then(|| Locations {
            name: &service.name,
            is_tls: !self.endpoint.is_plain(),
            authority: &self.endpoint.authority,
            base_path: &self.endpoint.base_path,
            way: self.way,
        })
    }

    /// Decides how the answer is passed back and writes its head into `out`.
    fn plan_response(&self, bytes: &[u8], out: &mut Buffer) -> Result<ResponsePlan, ProxyError> {
        let mut header_buffer = HeaderBuffer::new();
        let head = parse_head::response(bytes, &mut header_buffer, self.meta.is_head)?;
        self.hears_nonce(head.fields);
        out.clear();
        if head.status == 101 {
            if !(self.meta.is_websocket && head.is_websocket) {
                return Err(ProxyError::new(
                    ErrorReason::UpstreamProtocol,
                    "the upstream switched to a protocol nobody asked for",
                ));
            }
            if let Some(proof) = &self.expected_ws_accept {
                let is_it = |field: &httparse::Header<'_>| {
                    field.name.eq_ignore_ascii_case(SEC_WEBSOCKET_ACCEPT.as_str())
                        && field.value.trim_ascii() == proof.as_bytes()
                };
                if !head.fields.iter().any(is_it) {
                    let cause =
                        "the upstream's Sec-WebSocket-Accept is not the answer to the key it was sent";
                    return Err(ProxyError::new(ErrorReason::UpstreamProtocol, cause));
                }
            }
            write_head::informational(out.bytes_mut(), &head);
        } else if self.expected_ws_accept.is_some() && (200..300).contains(&head.status) {
            // Any 2xx would open the WebSocket in HTTP/2 (RFC 8441 §5).
            let cause = format!("the upstream answered {} and did not switch to WebSocket", head.status);
            return Err(ProxyError::new(ErrorReason::UpstreamProtocol, cause));
        }
        // A caller that is still sending cannot send its next request on this connection.
        let may_keep = self.meta.keep_alive && self.body.is_done() && !self.context.is_draining();
        let (relay, keep_alive) =
            write_head::choose_transfer_mode(&head.framing, self.meta.is_http10, may_keep);
        if head.status != 101 {
            let locations = self.locations(head.status);
            write_head::response(
                out.bytes_mut(),
                &head,
                relay,
                keep_alive,
                self.meta.is_http10,
                locations.as_ref(),
            );
        }
        Ok(ResponsePlan {
            status: head.status,
            upstream_keep_alive: head.keep_alive,
            keep_alive_for: head.keep_alive_for,
            framing: head.framing,
            relay,
            keep_alive,
        })
    }

    /// Passes the answer back, head first, and gives the upstream's connection back where it can be used again.
    async fn relay_response(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
        answer: &mut Buffer,
        mut connection: Connection,
        plan: ResponsePlan,
    ) -> Result<(), ExchangeError> {
        let ResponsePlan { framing, relay, upstream_keep_alive, keep_alive_for, .. } = plan;
        let idle = self.service.upstream.timeouts.idle;
        let mut body = Body::new(framing);
        // Nothing is out yet, so that the caller can still be told.
        let is_whole = match relay {
            TransferMode::Passthrough => body.count(answer).map_err(|error| {
                ProxyError::new(
                    ErrorReason::UpstreamProtocol,
                    format!("the upstream's body is malformed: {error}"),
                )
            })?,
            TransferMode::Dechunk | TransferMode::Chunk => false,
        };
        if is_whole {
            // Before the caller has its answer, so that its next request finds the connection.
            if self.body.is_done() && upstream_keep_alive {
                self.endpoint.release(connection, keep_alive_for);
            }
            return relay::write_response_start(io, out, answer, &mut body, self.timer, idle)
                .await
                .map_err(ExchangeError::Abort);
        }
        relay::write_response_start(io, out, answer, &mut body, self.timer, idle)
            .await
            .map_err(ExchangeError::Abort)?;
        let mut upstream = BodyHalf { io: &mut connection.stream, buffer: answer, body: &mut body };
        let mut caller = BodyHalf { io, buffer, body: &mut self.body };
        let sent = relay::relay_bodies(&mut caller, &mut upstream, relay, self.timer, idle)
            .await
            .map_err(ExchangeError::Abort)?;
        if sent && upstream_keep_alive && answer.is_empty() {
            self.endpoint.release(connection, keep_alive_for);
        }
        Ok(())
    }

    /// After the switch to WebSocket: bytes, both ways, until either side ends.
    async fn tunnel(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
        answer: &mut Buffer,
        mut connection: Connection,
    ) -> Result<Disposition, ExchangeError> {
        let timeouts = &self.service.upstream.timeouts;
        out.bytes_mut().extend_from_slice(answer.filled());
        relay::write(io, out.filled(), self.timer, timeouts.idle).await.map_err(ExchangeError::Abort)?;
        tunnel::run(io, &mut connection.stream, buffer.filled(), timeouts.tunnel_idle)
            .await
            .map_err(|error| ExchangeError::Abort(RelayError::Downstream(error)))?;
        Ok(Disposition::Close)
    }

    /// Tells the caller what went wrong.
    async fn fail(&mut self, io: &mut impl Io, failure: ProxyError, out: &mut Buffer) -> Disposition {
        let (name, reason) = (self.service.name.as_str(), failure.reason.as_str());
        self.service.metrics.error(reason);
        // The caller's own doing, or what the refresher has said once already: not a line for every request.
        if matches!(
            failure.reason,
            ErrorReason::BadRequest
                | ErrorReason::CredentialUnavailable
                | ErrorReason::TooLarge
                | ErrorReason::Overloaded
        ) {
            tracing::debug!(
                service.name = name,
                sidekey.error = reason,
                "request refused: {}",
                failure.cause
            );
        } else {
            self.service.last_failure.set(reason, &failure.cause);
            let address = self.address.map(tracing::field::display);
            tracing::warn!(
                service.name = name,
                upstream.address = address,
                sidekey.error = reason,
                "request failed: {}",
                failure.cause
            );
        }
        let keep_alive = self.meta.keep_alive
            && !self.meta.is_http10
            && self.body.is_done()
            && !self.context.is_draining();
        out.clear();
        failure.write(out.bytes_mut(), self.meta.is_head, keep_alive);
        self.status = Some(failure.reason.status());
        self.failure = Some(failure);
        match relay::write(io, out.filled(), self.timer, self.service.upstream.timeouts.idle).await {
            Err(_) => Disposition::Close,
            Ok(()) if keep_alive => Disposition::KeepAlive,
            Ok(()) => Disposition::LingeringClose,
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
                failure: failure.map(|failure| (failure.reason.as_str(), failure.cause.as_str())),
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

/// How an answer is passed back.
struct ResponsePlan {
    status: u16,
    framing: Framing,
    relay: TransferMode,
    keep_alive: bool,
    upstream_keep_alive: bool,
    /// What the upstream said of how long it keeps the connection.
    keep_alive_for: Option<Duration>,
}
