//! One request: prepared, sent, its response passed back. Whatever goes wrong before the response has begun becomes one
//! [`ProxyError`].

use std::time::Instant;

use tokio::time::timeout;

use super::outcome::{Disposition, ExchangeError, LATE_BODY};
use super::prepare::{Attempt, NotSigned, prepare};
use super::refuse::refuse;
use super::state::Request;
use crate::net::buffer::Buffer;
use crate::proto::http2::websocket;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::session::ConnectionContext;
use crate::proxy::wire::parse_head::BodyKind;
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::{Io, RelayError};
use crate::proxy::wire::timer::ReusableTimer;

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
    let prepared = match prepare(context, &buffer.filled()[..length], &mut out, &Attempt::FIRST) {
        Ok(prepared) => prepared,
        Err(rejection) => {
            buffer.consume(length);
            return refuse(context, io, rejection, timer).await;
        }
    };
    let signed = prepared.signed;
    let mut request = Request::begin(context, prepared, length, is_http2, timer);
    if request.protocol_requirements.downstream_http2 && request.protocol_requirements.websocket {
        request.expected_ws_accept = websocket::expected_accept(&buffer.filled()[..length]);
    }
    let signed = match signed {
        Ok(_) => Ok(()),
        // On the heap: every request has room for what it awaits, and few get here.
        Err(reason) => Box::pin(request.sign_late(reason, io, buffer, &mut out)).await,
    };
    if request.may_retry_after_401()
        || request.service.credential.signer().is_single_use()
        || request.endpoint.may_share(request.protocol_requirements)
        || request.service.upstream.has_alternatives()
    {
        buffer.retain();
    }
    let admitted = match signed {
        Ok(()) => request.admit(buffer, length, &mut out).await.map_err(ExchangeError::from),
        Err(error) => Err(error),
    };
    buffer.consume(length);
    let outcome = match admitted {
        Ok(()) => request.serve_in_time(io, buffer, &mut out).await,
        Err(error) => Err(error),
    };
    buffer.release_retained();
    match outcome {
        Ok(after) => after,
        Err(ExchangeError::Respond(failure)) => request.fail(io, failure, &mut out).await,
        Err(ExchangeError::Abort(broken)) => {
            tracing::debug!(sidekey.service = request.service.name, "answer cut short: {broken}");
            if let Some(span) = &mut request.span {
                span.cut(&broken);
            }
            Disposition::Abort(broken)
        }
    }
}

impl Request<'_> {
    /// Signs a request that could not be signed at once: reads the body that its credential signs, and waits for the very
    /// first token.
    async fn sign_late(
        &mut self,
        reason: NotSigned,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<(), ExchangeError> {
        if let NotSigned::NeedsBody { max } = reason {
            self.read_body_to_sign(io, buffer, max).await?;
            self.write_head(&buffer.filled()[..self.head_length], out, &[])?;
        }
        if out.is_empty() {
            self.service.credential.wait_for_first(self.service.token_wait).await;
            self.write_head(&buffer.filled()[..self.head_length], out, &[])?;
        }
        Ok(())
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
            let reaching = Box::pin(self.connect_any(&buffer.filled()[..length], out, false));
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
                sidekey.service = name,
                sidekey.error = reason,
                "request refused: {}",
                failure.cause
            );
        } else {
            self.service.last_failure.set(reason, &failure.cause);
            let address = self.address.map(tracing::field::display);
            tracing::warn!(
                sidekey.service = name,
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
