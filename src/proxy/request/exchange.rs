//! One request: prepare it, ask the upstream, pass the answer back. Whatever goes wrong before the answer has begun
//! becomes one [`Failure`].

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::header::SEC_WEBSOCKET_ACCEPT;
use tokio::time::timeout;

use super::prepare::{Found, prepare};
use super::refuse::refuse;
use crate::credential::Used;
use crate::metrics::MethodLabel;
use crate::net::buffer::Buffer;
use crate::oauth2::dpop_key::NONCE;
use crate::proto::http2::websocket;
use crate::proxy::access_log;
use crate::proxy::error::{Failure, Reason};
use crate::proxy::span::{Ended, Span, Spanning};
use crate::proxy::wire::framing::Framing;
use crate::proxy::wire::location::Locations;
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::{BodyKind, RequestFacts, Room};
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::{Body, Broken, Io, Side};
use crate::proxy::wire::timer::Patience;
use crate::proxy::wire::tunnel;
use crate::proxy::wire::write_head;
use crate::proxy::wire::write_head::Relay;
use crate::proxy::{InFlight, Proxy};
use crate::runtime::route::Way;
use crate::runtime::service::Service;
use crate::upstream::{Connection, Doubt, Endpoint, Leave, Wish};

/// What a caller is told whose body did not come.
pub(crate) const LATE_BODY: &str = "The request's body did not arrive in time.";

/// What becomes of the caller's connection.
pub(crate) enum After {
    /// The next request.
    KeepAlive,
    /// The caller may still be sending: listen for a moment, so that it gets the answer.
    Linger,
    /// At once.
    Close,
    /// At once, and so that half an answer is not taken for a whole one.
    Cut(Broken),
}

/// Why a request ended other than well.
pub(crate) enum Trouble {
    /// Before the answer began: the caller is told.
    Failure(Failure),
    /// The caller is gone, or half an answer is out: the connection is cut, so that nobody takes the half for the whole.
    Cut(Broken),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Serves the request whose head is the first `length` bytes of `buffer`; `is_http2`: of a caller that speaks HTTP/2.
pub(crate) async fn run(
    proxy: &Proxy,
    io: &mut impl Io,
    buffer: &mut Buffer,
    length: usize,
    is_http2: bool,
    patience: &mut Patience,
) -> After {
    let mut out = Buffer::take();
    let begin = Spanning::Begin;
    let found = match prepare(proxy, &buffer.filled()[..length], &mut out, &[], None, begin) {
        Ok(found) => found,
        Err(refusal) => {
            buffer.consume(length);
            return refuse(proxy, io, refusal, patience).await;
        }
    };
    let mut request = Request::begin(proxy, found, length, is_http2, patience);
    if request.wish.http2 && request.wish.upgrade {
        request.proof = websocket::proof(&buffer.filled()[..length]);
    }
    if out.is_empty() {
        // No credential yet: the very first token may be on its way.
        request.service.credential.wait_for_first(request.service.token_wait).await;
        let spanning = Spanning::Same(request.span.as_deref());
        if let Ok(found) = prepare(proxy, &buffer.filled()[..length], &mut out, &[], None, spanning) {
            debug_assert!(std::ptr::eq(found.service, request.service));
            request.used = found.used;
            request.endpoint = found.endpoint;
        }
    }
    if request.may_be_replayed()
        || request.endpoint.may_share(request.wish)
        || request.service.upstream.is_several()
    {
        buffer.hold();
    }
    let admitted = request.admit(buffer, length, &mut out).await;
    buffer.consume(length);
    let outcome = match admitted {
        Ok(()) => request.serve_in_time(io, buffer, &mut out).await,
        Err(failure) => Err(failure.into()),
    };
    buffer.let_go();
    match outcome {
        Ok(after) => after,
        Err(Trouble::Failure(failure)) => request.fail(io, failure, &mut out).await,
        Err(Trouble::Cut(broken)) => {
            tracing::debug!(service.name = request.service.name, "answer cut short: {broken}");
            if let Some(span) = &mut request.span {
                span.cut(&broken);
            }
            After::Cut(broken)
        }
    }
}

/// A request's body before any of it was passed on.
pub(crate) fn whole_body(service: &Service, facts: &RequestFacts) -> Body {
    let mut framing = facts.body.framing(|| service.credential.slot().clone());
    if let (Framing::Chunked(chunks), Some(most)) = (&mut framing, service.upstream.max_request_body) {
        chunks.limit(most);
    }
    Body::new(framing)
}

/// A request in flight; counted until it is dropped, however it ends.
pub(crate) struct Request<'p> {
    pub(crate) proxy: &'p Proxy,
    /// Until all is said of the request: a shutdown exports spans when none is in flight any more.
    _counted: InFlight<'p>,
    pub(crate) service: &'p Service,
    /// The URL that the head was written for.
    pub(crate) endpoint: &'p Endpoint,
    /// Where it comes before the head.
    pub(crate) connection: Option<Connection>,
    /// Where the request was last sent to.
    pub(crate) address: Option<SocketAddr>,
    /// Kept until the request is over.
    leave: Option<Leave<'p>>,
    pub(crate) facts: RequestFacts,
    pub(crate) wish: Wish,
    /// How much of the caller's bytes the head is.
    pub(crate) head_length: usize,
    /// The credential that it was sent with.
    pub(crate) used: Used,
    /// The one before, which the upstream answered 401.
    pub(crate) refused: Option<Used>,
    method: MethodLabel,
    path: Option<String>,
    way: Way,
    pub(crate) start: Instant,
    /// Where it is recorded.
    pub(crate) span: Option<Box<Span>>,
    /// What the caller was answered, from the moment the answer began.
    status: Option<u16>,
    failure: Option<Failure>,
    pub(crate) body: Body,
    /// The body is on its way, and all that has come of it has been passed on but for what `body` counts.
    pub(crate) is_sending: bool,
    /// How long it took to find a URL that takes a connection.
    reaching: Duration,
    /// What proves that an upstream switched to the WebSocket that was asked for on behalf of an HTTP/2 caller.
    proof: Option<String>,
    /// About the connection that it was last sent by.
    pub(crate) doubt: Option<Doubt>,
    pub(crate) patience: &'p mut Patience,
}

impl<'p> Request<'p> {
    fn begin(
        proxy: &'p Proxy,
        found: Found<'p>,
        head_length: usize,
        is_http2: bool,
        patience: &'p mut Patience,
    ) -> Self {
        found.service.metrics.begin();
        let Found { service, endpoint, facts, method, path, used, way, span } = found;
        Self {
            proxy,
            _counted: proxy.plane.count(),
            service,
            endpoint,
            connection: None,
            address: None,
            leave: None,
            wish: Wish { http2: is_http2, upgrade: facts.is_websocket },
            body: whole_body(service, &facts),
            facts,
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
            reaching: Duration::ZERO,
            proof: None,
            doubt: None,
            patience,
        }
    }

    /// All that has to be so before a byte is sent: a credential in `out`, a body that is not too large, leave by the
    /// service's limits, and one of several URLs that takes a connection.
    async fn admit(&mut self, buffer: &Buffer, length: usize, out: &mut Buffer) -> Result<(), Failure> {
        let upstream = &self.service.upstream;
        if out.is_empty() {
            let failure = Failure::new(Reason::CredentialUnavailable, "no usable credential");
            return Err(Failure { retry_after: Some(self.service.credential.retry_after()), ..failure });
        }
        if let (BodyKind::Length(length), Some(most)) = (&self.facts.body, upstream.max_request_body)
            && *length > most
        {
            let cause = format!("max_request_body: {length} bytes are more than {most}");
            return Err(Failure::new(Reason::TooLarge, cause));
        }
        self.leave = upstream.admit()?;
        if upstream.is_several() {
            let began = Instant::now();
            let reaching = Box::pin(self.reach(&buffer.filled()[..length], out));
            match upstream.timeouts.total {
                None => reaching.await?,
                Some(total) => {
                    let Ok(reached) = timeout(total, reaching).await else {
                        upstream.failed(self.endpoint);
                        let cause = "no URL of the upstream took a connection within timeouts.total";
                        return Err(Failure::new(Reason::UpstreamTimeout, cause));
                    };
                    reached?;
                }
            }
            self.reaching = began.elapsed();
        }
        Ok(())
    }

    async fn serve_in_time(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<After, Trouble> {
        let Some(total) = self.service.upstream.timeouts.total else {
            return self.serve(io, buffer, out).await;
        };
        let left = total.saturating_sub(self.reaching);
        match timeout(left, self.serve(io, buffer, out)).await {
            Ok(outcome) => outcome,
            Err(_) if self.status.is_none() => Err(self.over().into()),
            Err(_) => Err(Trouble::Cut(Broken::Idle)),
        }
    }

    /// `timeouts.total` is over before the answer began: whose doing that was.
    fn over(&mut self) -> Failure {
        if self.is_sending && self.body.awaits_more() {
            let cause = "the request's body did not arrive within timeouts.total";
            return Failure { detail: Some(LATE_BODY), ..Failure::new(Reason::BadRequest, cause) };
        }
        if let Some(doubt) = self.doubt.take() {
            doubt.suspect();
        }
        self.service.upstream.failed(self.endpoint);
        Failure::new(Reason::UpstreamTimeout, "the whole request took longer than timeouts.total")
    }

    /// Sends the head in `out` and the body, and passes the answer back.
    async fn serve(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<After, Trouble> {
        let mut answer = Buffer::take();
        let (connection, length) = self.ask_until_accepted(io, buffer, out, &mut answer).await?;
        let passing = self.passing(&answer.filled()[..length], out)?;
        answer.consume(length);
        self.status = Some(passing.status);
        if passing.status == 101 {
            return self.tunnel(io, buffer, out, &mut answer, connection).await;
        }
        let keep_alive = passing.keep_alive;
        self.pass_back(io, buffer, out, &mut answer, connection, passing).await?;
        // A caller whose connection is not kept may have sent more: closed at once, it could lose the answer in a reset.
        Ok(if keep_alive && self.body.is_done() { After::KeepAlive } else { After::Linger })
    }

    /// Takes the nonce that the upstream wants to see in the next proof; whether there is one, and it is new.
    pub(crate) fn hears_nonce(&self, fields: &[httparse::Header<'_>]) -> bool {
        let credential = &self.service.credential;
        let is_nonce = |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(NONCE.as_str());
        let nonce = || fields.iter().find(is_nonce);
        credential.wants_nonces()
            && nonce().is_some_and(|field| credential.hears_nonce(&self.endpoint.origin, field.value))
    }

    /// How the URLs in an answer are to be understood, where they are to be rewritten at all.
    fn locations(&self, status: u16) -> Option<Locations<'_>> {
        let service = self.service;
        // Inside TLS by CONNECT the upstream's own URLs are the caller's as well.
        let is_at_home =
            self.way == Way::Own && self.proxy.caller.within().is_some_and(|within| within.is_tls);
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
    fn passing(&self, bytes: &[u8], out: &mut Buffer) -> Result<Passing, Failure> {
        let mut room = Room::new();
        let head = parse_head::response(bytes, &mut room, self.facts.is_head)?;
        self.hears_nonce(head.fields);
        out.clear();
        if head.status == 101 {
            if !(self.facts.is_websocket && head.is_websocket) {
                return Err(Failure::new(
                    Reason::UpstreamProtocol,
                    "the upstream switched to a protocol nobody asked for",
                ));
            }
            if let Some(proof) = &self.proof {
                let is_it = |field: &httparse::Header<'_>| {
                    field.name.eq_ignore_ascii_case(SEC_WEBSOCKET_ACCEPT.as_str())
                        && field.value.trim_ascii() == proof.as_bytes()
                };
                if !head.fields.iter().any(is_it) {
                    let cause =
                        "the upstream's Sec-WebSocket-Accept is not the answer to the key it was sent";
                    return Err(Failure::new(Reason::UpstreamProtocol, cause));
                }
            }
            write_head::informational(out.bytes_mut(), &head);
        } else if self.proof.is_some() && (200..300).contains(&head.status) {
            // Any 2xx would open the WebSocket in HTTP/2 (RFC 8441 §5).
            let cause = format!("the upstream answered {} and did not switch to WebSocket", head.status);
            return Err(Failure::new(Reason::UpstreamProtocol, cause));
        }
        // A caller that is still sending cannot send its next request on this connection.
        let may_keep = self.facts.keep_alive && self.body.is_done() && !self.proxy.is_draining();
        let (relay, keep_alive) = write_head::relay(&head.framing, self.facts.is_old, may_keep);
        if head.status != 101 {
            let locations = self.locations(head.status);
            write_head::response(
                out.bytes_mut(),
                &head,
                relay,
                keep_alive,
                self.facts.is_old,
                locations.as_ref(),
            );
        }
        Ok(Passing {
            status: head.status,
            upstream_keep_alive: head.keep_alive,
            keep_alive_for: head.keep_alive_for,
            framing: head.framing,
            relay,
            keep_alive,
        })
    }

    /// Passes the answer back, head first, and gives the upstream's connection back where it can be used again.
    async fn pass_back(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
        answer: &mut Buffer,
        mut connection: Connection,
        passing: Passing,
    ) -> Result<(), Trouble> {
        let Passing { framing, relay, upstream_keep_alive, keep_alive_for, .. } = passing;
        let idle = self.service.upstream.timeouts.idle;
        let mut body = Body::new(framing);
        // Nothing is out yet, so that the caller can still be told.
        let is_whole = match relay {
            Relay::AsIs => body.count(answer).map_err(|error| {
                Failure::new(Reason::UpstreamProtocol, format!("the upstream's body is malformed: {error}"))
            })?,
            Relay::Unchunked | Relay::Chunked => false,
        };
        if is_whole {
            // Before the caller has its answer, so that its next request finds the connection.
            if self.body.is_done() && upstream_keep_alive {
                self.endpoint.release(connection, keep_alive_for);
            }
            return relay::begin(io, out, answer, &mut body, self.patience, idle).await.map_err(Trouble::Cut);
        }
        relay::begin(io, out, answer, &mut body, self.patience, idle).await.map_err(Trouble::Cut)?;
        let mut upstream = Side { io: &mut connection.stream, buffer: answer, body: &mut body };
        let mut caller = Side { io, buffer, body: &mut self.body };
        let sent = relay::exchange(&mut caller, &mut upstream, relay, self.patience, idle)
            .await
            .map_err(Trouble::Cut)?;
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
    ) -> Result<After, Trouble> {
        let timeouts = &self.service.upstream.timeouts;
        out.bytes_mut().extend_from_slice(answer.filled());
        relay::write(io, out.filled(), self.patience, timeouts.idle).await.map_err(Trouble::Cut)?;
        tunnel::run(io, &mut connection.stream, buffer.filled(), timeouts.tunnel_idle)
            .await
            .map_err(|error| Trouble::Cut(Broken::Caller(error)))?;
        Ok(After::Close)
    }

    /// Tells the caller what went wrong.
    async fn fail(&mut self, io: &mut impl Io, failure: Failure, out: &mut Buffer) -> After {
        let (name, reason) = (self.service.name.as_str(), failure.reason.as_str());
        self.service.metrics.error(reason);
        // The caller's own doing, or what the refresher has said once already: not a line for every request.
        if matches!(
            failure.reason,
            Reason::BadRequest | Reason::CredentialUnavailable | Reason::TooLarge | Reason::Overloaded
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
        let keep_alive =
            self.facts.keep_alive && !self.facts.is_old && self.body.is_done() && !self.proxy.is_draining();
        out.clear();
        failure.write(out.bytes_mut(), self.facts.is_head, keep_alive);
        self.status = Some(failure.reason.status());
        self.failure = Some(failure);
        match relay::write(io, out.filled(), self.patience, self.service.upstream.timeouts.idle).await {
            Err(_) => After::Close,
            Ok(()) if keep_alive => After::KeepAlive,
            Ok(()) => After::Linger,
        }
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let took = self.start.elapsed();
        self.service.metrics.end(self.method, self.status, took);
        if let (Some(span), Some(tracer)) = (self.span.take(), &self.proxy.snapshot().tracer) {
            let failure = self.failure.as_ref();
            tracer.record(span.end(&Ended {
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
struct Passing {
    status: u16,
    framing: Framing,
    relay: Relay,
    keep_alive: bool,
    upstream_keep_alive: bool,
    /// What the upstream said of how long it keeps the connection.
    keep_alive_for: Option<Duration>,
}
