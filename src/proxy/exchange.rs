//! One request: find its service, write the credential in, send it, pass the answer back.
//!
//! Nothing goes to an upstream before the credential is in the head that is sent ([`prepare`] is the only place that
//! writes one), and whatever goes wrong before the answer has begun becomes one [`Failure`].

use std::io;
use std::time::Instant;

use tokio::io::AsyncWriteExt;
use tokio::time::{timeout, timeout_at};

use super::Proxy;
use super::access_log;
use super::buffer::Buffer;
use super::failure::{Failure, Reason};
use super::framing::Framing;
use super::head::{self, MAX_HEAD, RequestFacts, Room};
use super::relay::{self, Body, Broken, Io, Sent, Side};
use super::rewrite::{self, Relay};
use crate::metrics::MethodLabel;
use crate::route::climbs;
use crate::service::Service;
use crate::upstream::Connection;

/// What becomes of the caller's connection.
pub(super) enum After {
    /// The next request.
    KeepAlive,
    /// The caller may still be sending: listen for a moment, so that it gets the answer.
    Linger,
    /// At once.
    Close,
}

/// Why a request ended other than well.
enum Trouble {
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

/// Serves the request whose head is the first `length` bytes of `buffer`.
pub(super) async fn run(
    proxy: &Proxy,
    own: Option<usize>,
    io: &mut impl Io,
    buffer: &mut Buffer,
    length: usize,
) -> After {
    let mut out = Buffer::take();
    let found = match prepare(proxy, own, &buffer.filled()[..length], &mut out) {
        Ok(found) => found,
        Err(failure) => {
            let is_head = buffer.filled().starts_with(b"HEAD ");
            super::connection::refuse(proxy, io, &failure, is_head).await;
            return After::Linger;
        }
    };
    let mut request = Request::begin(proxy, found);
    if out.is_empty() {
        // No credential yet: the very first token may be on its way.
        request.service.credential.wait_for_first(request.service.token_wait).await;
        if let Ok(found) = prepare(proxy, own, &buffer.filled()[..length], &mut out) {
            debug_assert!(std::ptr::eq(found.service, request.service));
        }
    }
    buffer.consume(length);
    let outcome = if out.is_empty() {
        let failure = Failure::new(Reason::CredentialUnavailable, "no usable credential");
        Err(Failure { retry_after: Some(request.service.credential.retry_after()), ..failure }.into())
    } else {
        request.serve_in_time(io, buffer, &mut out).await
    };
    match outcome {
        Ok(after) => after,
        Err(Trouble::Failure(failure)) => request.fail(io, failure, &mut out).await,
        Err(Trouble::Cut(broken)) => {
            tracing::debug!(service.name = request.service.name, "answer cut short: {broken}");
            After::Close
        }
    }
}

/// What is known of a request once it is routed.
struct Found<'p> {
    service: &'p Service,
    facts: RequestFacts,
    method: MethodLabel,
    path: Option<String>,
}

/// Parses and routes a head, and writes the one for the upstream into `out`, credential included. Leaves `out` empty where
/// there is no usable credential.
fn prepare<'p>(
    proxy: &'p Proxy,
    own: Option<usize>,
    bytes: &[u8],
    out: &mut Buffer,
) -> Result<Found<'p>, Failure> {
    let mut room = Room::new();
    let head = head::request(bytes, &mut room)?;
    let matched = proxy
        .routes
        .find(own, head.host, head.absolute, head.path)
        .ok_or_else(|| Failure::new(Reason::UnknownService, "no service matches"))?;
    let service = &proxy.services[matched.service];
    // Its answer is the request as the upstream got it (RFC 9110 §9.3.8): the credential, handed to the caller.
    if head.method == "TRACE" {
        return Err(Failure::new(Reason::Forbidden, "TRACE would send the credential back"));
    }
    if !service.upstream.base_path.is_empty() && climbs(matched.rest) {
        return Err(Failure::new(Reason::Forbidden, "the path leaves the upstream's base path"));
    }
    if let Some(injection) = service.credential.injection() {
        rewrite::request(
            out.bytes_mut(),
            &head,
            matched.rest,
            &service.upstream,
            service.credential.slot(),
            &injection,
        );
    }
    let path = proxy.access_log.then(|| head.path.split('?').next().unwrap_or_default().to_owned());
    Ok(Found { service, method: MethodLabel::of(head.method), path, facts: head.facts })
}

/// A request in flight; counted until it is dropped, however it ends.
struct Request<'p> {
    proxy: &'p Proxy,
    service: &'p Service,
    facts: RequestFacts,
    method: MethodLabel,
    path: Option<String>,
    start: Instant,
    /// What the caller was answered, from the moment the answer began.
    status: Option<u16>,
    failure: Option<Failure>,
    body: Body,
}

impl<'p> Request<'p> {
    fn begin(proxy: &'p Proxy, found: Found<'p>) -> Self {
        proxy.in_flight.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        found.service.metrics.begin();
        let body = Body::new(found.facts.body.framing(|| found.service.credential.slot().clone()));
        let Found { service, facts, method, path } = found;
        Self { proxy, service, facts, method, path, start: Instant::now(), status: None, failure: None, body }
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
        match timeout(total, self.serve(io, buffer, out)).await {
            Ok(outcome) => outcome,
            Err(_) if self.status.is_none() => Err(Failure::new(
                Reason::UpstreamTimeout,
                "the whole request took longer than timeouts.total",
            )
            .into()),
            Err(_) => Err(Trouble::Cut(Broken::Idle)),
        }
    }

    /// Sends the head in `out` and the body, and passes the answer back.
    async fn serve(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<After, Trouble> {
        // What of the body is here already goes out with the head.
        self.body.take(buffer, out).map_err(|error| Failure::new(Reason::BadRequest, error.to_string()))?;

        let mut answer = Buffer::take();
        let (connection, length) = self.ask(io, buffer, out, &mut answer).await?;
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

    /// Sends the request and reads until the head of the final answer is whole; returns its length.
    ///
    /// A kept-alive connection may have been closed by the upstream just as it was taken. Where nothing of an answer came
    /// and sending the request again cannot do harm, it is sent once more on a new connection.
    async fn ask(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &Buffer,
        answer: &mut Buffer,
    ) -> Result<(Connection, usize), Trouble> {
        let upstream = &self.service.upstream;
        let is_whole = self.body.is_done();
        if let Some(mut connection) = upstream.idle() {
            match self.try_ask(io, buffer, out, answer, &mut connection).await {
                Ok(length) => return Ok((connection, length)),
                Err(Unanswered::Unsent(_)) => {}
                Err(Unanswered::Lost(_)) if is_whole && self.facts.is_idempotent => {}
                Err(unanswered) => return Err(unanswered.into()),
            }
            answer.clear();
        }
        let mut connection = upstream.connect().await.map_err(Failure::from)?;
        let length = self.try_ask(io, buffer, out, answer, &mut connection).await?;
        Ok((connection, length))
    }

    async fn try_ask(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &Buffer,
        answer: &mut Buffer,
        connection: &mut Connection,
    ) -> Result<usize, Unanswered> {
        let (stream, timeouts) = (&mut connection.stream, &self.service.upstream.timeouts);
        let asked = Instant::now();
        let written = timeout(timeouts.idle, async {
            let first = stream.write(out.filled()).await.map_err(Unanswered::Unsent)?;
            stream.write_all(&out.filled()[first..]).await.map_err(Unanswered::Lost)?;
            stream.flush().await.map_err(Unanswered::Lost)
        });
        let mut lost = match written.await {
            Ok(Ok(())) => None,
            Ok(Err(Unanswered::Lost(error))) => Some(error),
            Ok(Err(other)) => return Err(other),
            Err(_) => return Err(timed_out("the upstream did not take the request in time")),
        };
        let mut sending = !self.body.is_done() && lost.is_none();
        let mut seen = 0;
        let mut is_first = true;
        let mut deadline = None;
        loop {
            let length = head::end(answer.filled(), seen);
            seen = answer.filled().len();
            if length.unwrap_or(seen) > MAX_HEAD {
                return Err(protocol("the head of the upstream's answer is larger than 64 KiB"));
            }
            if let Some(length) = length {
                if let Some(interim) = self.interim(&answer.filled()[..length])? {
                    answer.consume(length);
                    seen = 0;
                    is_first = false;
                    deadline = None;
                    relay::write(io, interim.filled(), timeouts.idle).await.map_err(Unanswered::Cut)?;
                    continue;
                }
                let status = status_of(answer.filled());
                self.service.metrics.upstream_answered(status, asked.elapsed());
                return Ok(length);
            }
            if sending {
                let mut caller = Side { io, buffer, body: &mut self.body };
                match relay::send(&mut caller, stream, answer, timeouts.idle)
                    .await
                    .map_err(Unanswered::broken)?
                {
                    Sent::All => sending = false,
                    Sent::Answered => {}
                    Sent::Refused(error) => {
                        sending = false;
                        lost = Some(error);
                    }
                }
                continue;
            }
            // Not renewed by a head that comes byte by byte.
            let deadline = *deadline.get_or_insert_with(|| tokio::time::Instant::now() + timeouts.first_byte);
            let read = timeout_at(deadline, relay::listen(io, buffer, stream, answer)).await;
            let read = read.map_err(|_| timed_out("the upstream did not answer in time"))?;
            match read.map_err(Unanswered::Cut)? {
                Ok(1..) => {}
                Ok(0) | Err(_) if !answer.is_empty() => {
                    return Err(protocol("the upstream closed the connection within the head of its answer"));
                }
                end => {
                    let error = lost.or(end.err()).unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
                    return Err(if is_first {
                        Unanswered::Lost(error)
                    } else {
                        protocol("the upstream closed the connection after an interim answer")
                    });
                }
            }
        }
    }

    /// An interim answer (1xx but 101), rewritten for the caller; empty for one that knows only HTTP/1.0.
    fn interim(&self, bytes: &[u8]) -> Result<Option<Buffer>, Failure> {
        let status = status_of(bytes);
        if !(100..200).contains(&status) || status == 101 {
            return Ok(None);
        }
        let mut room = Room::new();
        let head = head::response(bytes, &mut room, self.facts.is_head)?;
        let mut out = Buffer::take();
        if !self.facts.is_old {
            rewrite::informational(out.bytes_mut(), &head);
        }
        Ok(Some(out))
    }

    /// Decides how the answer is passed back and writes its head into `out`.
    fn passing(&self, bytes: &[u8], out: &mut Buffer) -> Result<Passing, Failure> {
        let mut room = Room::new();
        let head = head::response(bytes, &mut room, self.facts.is_head)?;
        out.clear();
        if head.status == 101 {
            if !(self.facts.is_websocket && head.is_websocket) {
                return Err(Failure::new(
                    Reason::UpstreamProtocol,
                    "the upstream switched to a protocol nobody asked for",
                ));
            }
            rewrite::informational(out.bytes_mut(), &head);
        }
        // A caller that is still sending cannot send its next request on this connection.
        let may_keep = self.facts.keep_alive && self.body.is_done() && !self.proxy.is_draining();
        let (relay, keep_alive) = rewrite::relay(&head.framing, self.facts.is_old, may_keep);
        if head.status != 101 {
            rewrite::response(out.bytes_mut(), &head, relay, keep_alive, self.facts.is_old);
        }
        Ok(Passing {
            status: head.status,
            upstream_keep_alive: head.keep_alive,
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
        let Passing { framing, relay, upstream_keep_alive, .. } = passing;
        let idle = self.service.upstream.timeouts.idle;
        let mut body = Body::new(framing);
        if relay == Relay::AsIs {
            // Nothing is out yet, so that the caller can still be told.
            body.take(answer, out).map_err(|error| {
                Failure::new(Reason::UpstreamProtocol, format!("the upstream's body is malformed: {error}"))
            })?;
        }
        if body.is_done() {
            // Before the caller has its answer, so that its next request finds the connection.
            if self.body.is_done() && upstream_keep_alive && answer.is_empty() {
                self.service.upstream.release(connection);
            }
            return relay::write(io, out.filled(), idle).await.map_err(Trouble::Cut);
        }
        relay::write(io, out.filled(), idle).await.map_err(Trouble::Cut)?;
        let mut upstream = Side { io: &mut connection.stream, buffer: answer, body: &mut body };
        let mut caller = Side { io, buffer, body: &mut self.body };
        let sent = relay::exchange(&mut caller, &mut upstream, relay, idle).await.map_err(Trouble::Cut)?;
        if sent && upstream_keep_alive && answer.is_empty() {
            self.service.upstream.release(connection);
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
        let broken = |error| Trouble::Cut(Broken::Caller(error));
        out.bytes_mut().extend_from_slice(answer.filled());
        relay::write(io, out.filled(), self.service.upstream.timeouts.idle).await.map_err(Trouble::Cut)?;
        connection.stream.write_all(buffer.filled()).await.map_err(broken)?;
        buffer.clear();
        tokio::io::copy_bidirectional(io, &mut connection.stream).await.map_err(broken)?;
        Ok(After::Close)
    }

    /// Tells the caller what went wrong.
    async fn fail(&mut self, io: &mut impl Io, failure: Failure, out: &mut Buffer) -> After {
        let (name, reason) = (self.service.name.as_str(), failure.reason.as_str());
        self.service.metrics.error(reason);
        if failure.reason == Reason::BadRequest {
            tracing::debug!(
                service.name = name,
                sidekey.error = reason,
                "request refused: {}",
                failure.cause
            );
        } else {
            tracing::warn!(service.name = name, sidekey.error = reason, "request failed: {}", failure.cause);
        }
        let keep_alive =
            self.facts.keep_alive && !self.facts.is_old && self.body.is_done() && !self.proxy.is_draining();
        out.clear();
        failure.write(out.bytes_mut(), self.facts.is_head, keep_alive);
        self.status = Some(failure.reason.status());
        self.failure = Some(failure);
        match relay::write(io, out.filled(), self.service.upstream.timeouts.idle).await {
            Err(_) => After::Close,
            Ok(()) if keep_alive => After::KeepAlive,
            Ok(()) => After::Linger,
        }
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let took = self.start.elapsed();
        self.proxy.in_flight.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        self.service.metrics.end(self.method, self.status, took);
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
}

/// Why there is no answer to pass back.
enum Unanswered {
    /// Not a byte of the request went out.
    Unsent(io::Error),
    /// The request went out, and not a byte of an answer came back.
    Lost(io::Error),
    /// Anything that sending again does not mend.
    Failure(Failure),
    /// The caller is gone.
    Cut(Broken),
}

impl Unanswered {
    fn broken(broken: Broken) -> Self {
        match broken {
            Broken::CallerBody(error) => Self::Failure(Failure::new(Reason::BadRequest, error.to_string())),
            Broken::Idle => timed_out("the request's body stood still for too long"),
            Broken::Upstream(error) => Self::Lost(error),
            Broken::Caller(_) | Broken::UpstreamBody(_) => Self::Cut(broken),
        }
    }
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Unanswered> for Trouble {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Unsent(error) | Unanswered::Lost(error) => Self::Failure(Failure::new(
                Reason::UpstreamProtocol,
                format!("the upstream closed the connection without an answer: {error}"),
            )),
            Unanswered::Failure(failure) => Self::Failure(failure),
            Unanswered::Cut(broken) => Self::Cut(broken),
        }
    }
}

fn timed_out(cause: &str) -> Unanswered {
    Unanswered::Failure(Failure::new(Reason::UpstreamTimeout, cause))
}

fn protocol(cause: &str) -> Unanswered {
    Unanswered::Failure(Failure::new(Reason::UpstreamProtocol, cause))
}

/// The three digits after `HTTP/1.x `; 0 for anything else, which the parser then refuses.
fn status_of(head: &[u8]) -> u16 {
    head.get(9..12)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}
