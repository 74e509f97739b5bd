//! The exchange of one request: it is prepared and sent, and its response is passed back. An error before the
//! response has begun becomes a [`ProxyError`].

use std::time::Instant;

use tokio::time::timeout;

use super::outcome::{Disposition, ExchangeError, LATE_BODY};
use super::prepare::{Attempt, NotSigned, prepare};
use super::refuse::refuse;
use super::state::Request;
use super::subject;
use super::wildcard::EndpointSlot;
use crate::net::buffer::Buffer;
use crate::proto::http2::websocket;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::request_id::RequestId;
use crate::proxy::session::ConnectionContext;
use crate::proxy::wire::parse_head::BodyKind;
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::{Io, RelayError};
use crate::proxy::wire::timer::ReusableTimer;

/// Serves the request whose head is the first `length` bytes of `buffer`. `is_http2` says whether the
/// caller's connection is HTTP/2.
pub(crate) async fn run(
    context: &ConnectionContext,
    io: &mut impl Io,
    buffer: &mut Buffer,
    length: usize,
    is_http2: bool,
    timer: &mut ReusableTimer,
) -> Disposition {
    let mut out = Buffer::acquire();
    let slot = EndpointSlot::new();
    let prepared = {
        let attempt = Attempt { is_http2, ..Attempt::FIRST };
        prepare(context, &buffer.filled()[..length], &mut out, &attempt, &slot)
    };
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(rejection) => {
            buffer.consume(length);
            return refuse(context, io, rejection, timer).await;
        }
    };
    let signed = prepared.signed;
    let mut request = Request::begin(context, prepared, &slot, length, is_http2, timer);
    if request.protocol_requirements.downstream_http2 && request.protocol_requirements.websocket {
        request.expected_ws_accept = websocket::expected_accept(&buffer.filled()[..length]);
    }
    let signed = match signed {
        Ok(_) => Ok(()),
        // Boxed: the future of every request reserves space for what it awaits and what it keeps, and few requests get here.
        Err(reason) => Box::pin(request.sign_late(reason, io, buffer, &mut out)).await.map_err(Box::new),
    };
    // The request may have got another head.
    let length = request.head_length;
    if request.may_retry_after_401()
        || request.service.credential.signer().is_single_use()
        || request.endpoint.may_share(request.protocol_requirements)
        || request.service.upstream.has_alternatives()
    {
        buffer.retain();
    }
    let ready = match signed {
        Ok(()) => {
            let ready = request.prepare_to_send(buffer, length, &mut out).await;
            ready.map_err(|error| Box::new(ExchangeError::from(error)))
        }
        Err(error) => Err(error),
    };
    if ready.is_err() {
        // The head for the upstream may not have been written.
        request.identify(&buffer.filled()[..length]);
    }
    buffer.consume(length);
    let outcome = match ready {
        Ok(()) => request.serve_in_time(io, buffer, &mut out).await,
        Err(error) => Err(*error),
    };
    buffer.release_retained();
    match outcome {
        Ok(disposition) => disposition,
        Err(ExchangeError::Respond(failure)) => request.fail(io, failure, &mut out).await,
        Err(ExchangeError::Abort(error)) => {
            tracing::debug!(sidekey.service = request.service.name, "response aborted: {error}");
            if let Some(span) = &mut request.span {
                span.aborted(&error);
            }
            Disposition::Abort(error)
        }
    }
}

impl Request<'_> {
    /// Signs a request that could not be signed at once: reads the body if the credential signs it, and waits
    /// for a token that is being obtained.
    async fn sign_late(
        &mut self,
        reason: NotSigned,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<(), ExchangeError> {
        match reason {
            NotSigned::NotReady => {}
            NotSigned::NeedsBody { max } => {
                self.read_body_to_sign(io, buffer, max).await?;
                self.write_head(&buffer.filled()[..self.head_length], out, &[])?;
            }
            NotSigned::NeedsRewrite { max } => {
                self.read_body_to_sign(io, buffer, max).await?;
                self.rewrite_request(buffer)?;
                self.write_head(&buffer.filled()[..self.head_length], out, &[])?;
            }
            NotSigned::NeedsChallenge => {
                self.learn_challenge(&buffer.filled()[..self.head_length]).await;
                self.write_head(&buffer.filled()[..self.head_length], out, &[])?;
            }
            NotSigned::Refused(why) => return Err(ProxyError::refused(why).into()),
        }
        if out.is_empty() {
            let credential = &self.service.credential;
            let ready = async {
                if let (Some(subject), Some(tokens)) = (&self.subject, credential.caller_tokens()) {
                    tokens.obtain(subject, self.service.token_wait).await.map_err(subject::unavailable)?;
                }
                credential.wait_until_ready(self.service.token_wait).await;
                Ok(())
            };
            let waited: Result<(), ProxyError> =
                relay::while_connected(io, buffer, ready).await.map_err(ExchangeError::Abort)?;
            waited?;
            self.write_head(&buffer.filled()[..self.head_length], out, &[])?;
        }
        Ok(())
    }

    /// Checks that the head in `out` is signed and that the body is within its limit. Acquires a permit of
    /// the service's limits and, if the upstream has several URLs, a connection to one of them.
    async fn prepare_to_send(
        &mut self,
        buffer: &Buffer,
        length: usize,
        out: &mut Buffer,
    ) -> Result<(), ProxyError> {
        let upstream = &self.service.upstream;
        if out.is_empty() {
            let failure = ProxyError::new(ErrorReason::CredentialUnavailable, "no usable credential");
            return Err(ProxyError { retry_after: Some(self.service.credential.retry_after()), ..failure });
        }
        if let (BodyKind::Length(length), Some(max)) = (&self.meta.body, upstream.max_request_body)
            && *length > max
        {
            let cause = format!("max_request_body: {length} bytes are more than {max}");
            return Err(ProxyError::new(ErrorReason::TooLarge, cause));
        }
        self.permit = upstream.try_acquire()?;
        // The last check, because it may hand out the only probe.
        self.is_probe = upstream.try_pass_breaker()?;
        if upstream.has_alternatives() {
            let began = Instant::now();
            let connecting = Box::pin(self.connect_any(&buffer.filled()[..length], out, false));
            match upstream.timeouts.total {
                None => connecting.await?,
                Some(total) => {
                    let Ok(connected) = timeout(total, connecting).await else {
                        upstream.record_failure(self.endpoint);
                        let cause = "no URL of the upstream accepted a connection within timeouts.total";
                        return Err(ProxyError::new(ErrorReason::UpstreamTimeout, cause));
                    };
                    connected?;
                }
            }
            self.connect_time = began.elapsed();
        }
        Ok(())
    }

    /// Serves the request within what remains of `timeouts.total`.
    async fn serve_in_time(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<Disposition, ExchangeError> {
        let Some(total) = self.service.upstream.timeouts.total else {
            return self.serve(io, buffer, out).await;
        };
        let remaining = total.saturating_sub(self.connect_time);
        // Boxed, for the same reason as above.
        match timeout(remaining, Box::pin(self.serve(io, buffer, out))).await {
            Ok(outcome) => outcome,
            Err(_) if self.status.is_none() => Err(self.total_timeout_error().into()),
            Err(_) => Err(ExchangeError::Abort(RelayError::Idle)),
        }
    }

    /// Returns the error for a request whose response did not begin within `timeouts.total`. It is the
    /// caller's error if the body did not arrive, and otherwise the upstream's.
    fn total_timeout_error(&mut self) -> ProxyError {
        if self.is_sending && self.body.awaits_more() {
            let cause = "the request's body did not arrive within timeouts.total";
            return ProxyError { detail: Some(LATE_BODY), ..ProxyError::new(ErrorReason::BadRequest, cause) };
        }
        if let Some(ping) = self.ping.take() {
            ping.request_ping();
        }
        self.service.upstream.record_failure(self.endpoint);
        ProxyError::new(ErrorReason::UpstreamTimeout, "the whole request took longer than timeouts.total")
    }

    /// Sends the head in `out` and the body, and passes the response back.
    async fn serve(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<Disposition, ExchangeError> {
        let mut response = Buffer::acquire();
        let (connection, length) = self.send_with_retry(io, buffer, out, &mut response).await?;
        let plan = self.plan_response(&response.filled()[..length], out)?;
        response.consume(length);
        self.status = Some(plan.status);
        if plan.status == 101 {
            return self.tunnel(io, buffer, out, &mut response, connection).await;
        }
        let keep_alive = plan.keep_alive;
        self.relay_response(io, buffer, out, &mut response, connection, plan).await?;
        // The caller may still be sending. After an immediate close its bytes cause a reset, which can
        // discard the response.
        Ok(if keep_alive && self.body.is_done() {
            Disposition::KeepAlive
        } else {
            Disposition::LingeringClose
        })
    }

    /// The identifier of a request that failed. `written` is the head for the upstream, if it was written.
    fn identify(&mut self, written: &[u8]) -> RequestId {
        let find =
            || RequestId::of_written(written, &self.service.removed).unwrap_or_else(RequestId::generate);
        self.id.get_or_insert_with(find).clone()
    }

    /// Logs a failed request: a warning, unless it is the caller's fault, was logged by the refresher, or is one of many.
    fn log_failure(&self, failure: &ProxyError, id: &RequestId) {
        let (name, reason) = (self.service.name.as_str(), failure.reason.as_str());
        let is_quiet = matches!(
            failure.reason,
            ErrorReason::BadRequest
                | ErrorReason::Unauthenticated
                | ErrorReason::CredentialUnavailable
                | ErrorReason::TooLarge
                | ErrorReason::Overloaded
        );
        let address = self.address.map(tracing::field::display);
        let id = id.as_str();
        if is_quiet {
            tracing::debug!(
                sidekey.service = name,
                upstream.address = address,
                sidekey.error = reason,
                request.id = id,
                "request refused: {}",
                failure.cause
            );
            return;
        }
        self.service.last_failure.set(reason, &failure.cause);
        if let Some(earlier) = self.service.failure_log.admit(reason) {
            tracing::warn!(
                sidekey.service = name,
                upstream.address = address,
                sidekey.error = reason,
                request.id = id,
                suppressed = earlier,
                "request failed: {}",
                failure.cause
            );
        } else {
            tracing::debug!(
                sidekey.service = name,
                upstream.address = address,
                sidekey.error = reason,
                request.id = id,
                "request failed: {}",
                failure.cause
            );
        }
    }

    /// Logs the error and sends it to the caller as the response.
    async fn fail(&mut self, io: &mut impl Io, failure: ProxyError, out: &mut Buffer) -> Disposition {
        let id = self.identify(out.filled());
        self.service.metrics.error(failure.reason.as_str());
        self.log_failure(&failure, &id);
        let keep_alive = self.meta.keep_alive
            && !self.meta.is_http10
            && self.body.is_done()
            && !self.context.is_draining();
        out.clear();
        failure.write(out.bytes_mut(), self.meta.is_head, keep_alive, Some(id.as_str()));
        self.status = Some(failure.status());
        self.failure = Some(failure);
        match relay::write(io, out.filled(), self.timer, self.service.upstream.timeouts.idle).await {
            Err(_) => Disposition::Close,
            Ok(()) if keep_alive => Disposition::KeepAlive,
            Ok(()) => Disposition::LingeringClose,
        }
    }
}
