//! Sends a request and waits for the head of its response.

use std::io;
use std::time::Instant;

use tokio::io::AsyncWriteExt;

use super::outcome::{ExchangeError, LATE_BODY};
use super::state::Request;
use crate::metrics::{RetryReason, RetryResult};
use crate::net::buffer::Buffer;
use crate::proxy::diagnostics;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::wire::leak_guard::LeakGuard;
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::HeaderBuffer;
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::{BodyHalf, Io, RelayError, SendOutcome};
use crate::proxy::wire::write_head;
use crate::upstream::{Connection, is_unprocessed};

/// The limit on the interim responses to one request: more than any use of them needs, and few enough that an
/// upstream cannot send them without end.
const MAX_INTERIM_RESPONSES: u32 = 100;
/// 102: the upstream needs more time (RFC 2518 §10.1). The other interim responses do not extend
/// `timeouts.first_byte`.
const PROCESSING: u16 = 102;

impl Request<'_> {
    /// Sends the request and reads until the head of the final response is complete; returns its length.
    ///
    /// An upstream may close an idle connection just as a request is sent on it. The request is retried on
    /// another connection if no byte of a response came and a retry is safe. It is also retried if the
    /// upstream did not process it (HTTP/2).
    pub(super) async fn send(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
        response: &mut Buffer,
    ) -> Result<(Connection, usize), ExchangeError> {
        let upstream = &self.service.upstream;
        let mut retry = None;
        loop {
            let endpoint = self.endpoint;
            let is_complete = self.body.is_done();
            let idle = || {
                if retry.is_some() {
                    None
                } else {
                    endpoint.idle(self.protocol_requirements, self.meta.is_idempotent)
                }
            };
            let mut connection = match self.connection.take().or_else(idle) {
                Some(connection) => connection,
                None => match endpoint.connect(self.protocol_requirements, upstream.timeouts.connect).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        upstream.record_connect_error(endpoint, &error);
                        if !error.is_of_upstream()
                            || !upstream.has_alternatives()
                            || buffer.retained().is_none()
                        {
                            self.record_retry(retry, RetryResult::Error);
                            return Err(ProxyError::from(error).into());
                        }
                        // Boxed: the future of every request reserves space for what it awaits, and few
                        // requests get here.
                        Box::pin(self.fail_over(&error, buffer, out)).await?;
                        continue;
                    }
                },
            };
            self.address = Some(connection.address);
            self.ping = connection.ping_handle();
            self.is_upstream_http2 = self.ping.is_some();
            if let Some(span) = &mut self.span {
                span.sent(&connection);
            }
            let error = match self.send_once(io, buffer, out, response, &mut connection).await {
                Ok(length) => {
                    if retry.is_some() {
                        let is_unauthorized = status_of(response.filled()) == 401;
                        let result =
                            if is_unauthorized { RetryResult::Unauthorized } else { RetryResult::Success };
                        self.record_retry(retry, result);
                    }
                    return Ok((connection, length));
                }
                Err(error) => error,
            };
            let mut reason = RetryReason::ConnectionLost;
            let may_retry = match &error {
                SendError::NotSent(_) => true,
                SendError::NoResponse(error) if is_unprocessed(error) => {
                    reason = RetryReason::Unprocessed;
                    is_complete || buffer.retained().is_some()
                }
                SendError::NoResponse(_) => {
                    endpoint.record_lost(&connection);
                    let is_safe = is_complete && self.meta.is_idempotent;
                    is_safe && (connection.is_reused() || upstream.retry_idempotent)
                }
                SendError::Proxy(_) | SendError::Aborted(_) => false,
            };
            if error.is_timeout()
                && let Some(ping) = self.ping.take()
            {
                ping.request_ping();
            }
            // A signature that is valid for one attempt is made again from the caller's head.
            let may_retry = may_retry
                && (!self.service.credential.signer().is_single_use() || buffer.retained().is_some());
            if retry.is_some() || !may_retry {
                self.record_retry(retry, RetryResult::Error);
                let error = ExchangeError::from(error);
                if matches!(&error, ExchangeError::Respond(failure) if failure.is_of_upstream()) {
                    upstream.record_failure(endpoint);
                }
                return Err(error);
            }
            retry = Some(reason);
            response.clear();
            if self.service.credential.signer().is_single_use() {
                self.sign_again(buffer, out)?;
            } else if !is_complete && !matches!(error, SendError::NotSent(_)) {
                self.rewind_body(buffer, out)?;
            }
        }
    }

    /// Counts the retry for the reason `retry`, if there was one.
    fn record_retry(&self, retry: Option<RetryReason>, result: RetryResult) {
        if let Some(reason) = retry {
            self.service.metrics.retried(reason, result);
        }
    }

    /// Sends the request on `connection` and reads until the head of the final response is complete; returns
    /// its length. Interim responses are passed to the caller.
    async fn send_once(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &Buffer,
        response: &mut Buffer,
        connection: &mut Connection,
    ) -> Result<usize, SendError> {
        let sent_at = Instant::now();
        let mut lost = self.write_request(out, connection).await?;
        let (stream, timeouts) = (&mut connection.stream, &self.service.upstream.timeouts);
        let mut sending = !self.body.is_done() && lost.is_none();
        let mut searched = 0;
        let mut is_first = true;
        let mut is_waiting = false;
        let mut interim_responses = 0;
        // When the request was complete, and how long its response may take from now on.
        let (mut complete_at, mut head_limit) = (sent_at, timeouts.first_byte);
        loop {
            let length = parse_head::end(response.filled(), searched);
            searched = response.filled().len();
            let max_head = self.service.upstream.max_response_head.size;
            if length.unwrap_or(searched) > max_head {
                return Err(protocol_error(&format!(
                    "the head of the upstream's response is larger than {max_head} bytes (max_response_head)"
                )));
            }
            if let Some(length) = length {
                if let Some(interim) = self.interim(&response.filled()[..length])? {
                    interim_responses += 1;
                    if interim_responses > MAX_INTERIM_RESPONSES {
                        return Err(protocol_error(&format!(
                            "the upstream sent more than {MAX_INTERIM_RESPONSES} interim responses"
                        )));
                    }
                    if status_of(response.filled()) == PROCESSING {
                        complete_at = Instant::now();
                    }
                    head_limit = timeouts.first_byte.saturating_sub(complete_at.elapsed());
                    response.consume(length);
                    searched = 0;
                    is_first = false;
                    is_waiting = false;
                    // Boxed: the future of every request reserves space for what it awaits, and few responses get here.
                    Box::pin(relay::write(io, interim.filled(), self.timer, timeouts.idle))
                        .await
                        .map_err(SendError::Aborted)?;
                    continue;
                }
                let status = status_of(response.filled());
                self.service.metrics.upstream_answered(status, sent_at.elapsed());
                self.service.upstream.record_response(self.endpoint, status);
                if status == 400 {
                    diagnostics::warn_if_plain_http_to_tls(
                        &self.service.name,
                        self.endpoint,
                        response.filled(),
                    );
                }
                return Ok(length);
            }
            if sending {
                let mut caller = BodyHalf { io, buffer, body: &mut self.body };
                self.is_sending = true;
                let sent =
                    relay::send_request_body(&mut caller, stream, response, self.timer, timeouts.idle).await;
                self.is_sending = false;
                match sent.map_err(SendError::from_relay)? {
                    SendOutcome::Complete => {
                        sending = false;
                        (complete_at, head_limit) = (Instant::now(), timeouts.first_byte);
                    }
                    SendOutcome::EarlyResponse => {}
                    SendOutcome::WriteFailed(error) => {
                        sending = false;
                        lost = Some(error);
                    }
                }
                continue;
            }
            // The limit is for the whole head: it does not start again with each byte.
            if !std::mem::replace(&mut is_waiting, true) {
                self.timer.reset();
            }
            let reading = relay::await_response_head(io, buffer, stream, response);
            let read = self.timer.timeout_remaining(head_limit, reading).await;
            let read = read.map_err(|_| timed_out("the upstream did not answer in time"))?;
            match read.map_err(SendError::Aborted)? {
                Ok(1..) => {}
                Ok(0) | Err(_) if !response.is_empty() => {
                    let hint = diagnostics::explain_non_http(self.endpoint, response.filled());
                    return Err(protocol_error(&format!(
                        "the upstream closed the connection within the head of its response{hint}"
                    )));
                }
                end => {
                    let error = match end {
                        // The error of reading is more specific than the error of writing.
                        Err(error) if is_unprocessed(&error) => error,
                        end => lost.or(end.err()).unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()),
                    };
                    return Err(if is_first {
                        SendError::NoResponse(error)
                    } else {
                        protocol_error("the upstream closed the connection after an interim response")
                    });
                }
            }
        }
    }

    /// Writes the head, and what is here of the body. Returns the error that ended the connection after a part was written:
    /// the upstream may have answered before it closed.
    async fn write_request(
        &mut self,
        out: &Buffer,
        connection: &mut Connection,
    ) -> Result<Option<io::Error>, SendError> {
        let stream = &mut connection.stream;
        let written = self.timer.timeout(self.service.upstream.timeouts.idle, async {
            let first = stream.write(out.filled()).await.map_err(SendError::NotSent)?;
            stream.write_all(&out.filled()[first..]).await.map_err(SendError::NoResponse)?;
            stream.flush().await.map_err(SendError::NoResponse)
        });
        match written.await {
            Ok(Ok(())) => Ok(None),
            Ok(Err(SendError::NoResponse(error))) => Ok(Some(error)),
            Ok(Err(other)) => Err(other),
            Err(_) => Err(timed_out("the request could not be written to the upstream in time")),
        }
    }

    /// Writes an interim response (1xx except 101) for the caller; empty if the caller speaks HTTP/1.0, or
    /// sent a `CONNECT` (RFC 8441), which expects nothing before its 200. Returns `None` for a final response.
    fn interim(&self, bytes: &[u8]) -> Result<Option<Buffer>, ProxyError> {
        let status = status_of(bytes);
        if !(100..200).contains(&status) || status == 101 {
            return Ok(None);
        }
        let mut header_buffer = HeaderBuffer::new();
        let head =
            parse_head::response(bytes, &mut header_buffer, self.meta.is_head, self.max_response_fields())?;
        let mut out = Buffer::acquire();
        if !self.meta.is_http10 && self.expected_ws_accept.is_none() {
            let urls = self.response_urls();
            write_head::informational(out.bytes_mut(), &head, &urls, self.response_via(&head));
            self.record_stripped(&urls);
            if let Some(guard) = LeakGuard::of(self.service, self.subject.as_deref(), &self.sent) {
                guard.mask(out.bytes_mut());
            }
        }
        Ok(Some(out))
    }
}

/// Why there is no response to pass back.
enum SendError {
    /// No byte of the request was sent.
    NotSent(io::Error),
    /// The request was sent, and no byte of a response came.
    NoResponse(io::Error),
    /// An error that a retry does not fix.
    Proxy(ProxyError),
    /// The caller is gone.
    Aborted(RelayError),
}

impl SendError {
    fn is_timeout(&self) -> bool {
        matches!(self, Self::Proxy(failure) if failure.reason == ErrorReason::UpstreamTimeout)
    }

    /// Converts an error from sending the request's body.
    fn from_relay(error: RelayError) -> Self {
        match error {
            RelayError::DownstreamBody(error) => Self::Proxy(error.into()),
            RelayError::Idle => timed_out("the request's body could not be written to the upstream in time"),
            RelayError::DownstreamIdle => Self::Proxy(ProxyError {
                detail: Some(LATE_BODY),
                ..ProxyError::new(ErrorReason::BadRequest, error.to_string())
            }),
            RelayError::Upstream(error) => Self::NoResponse(error),
            RelayError::Downstream(_) | RelayError::UpstreamBody(_) => Self::Aborted(error),
        }
    }
}

impl From<ProxyError> for SendError {
    fn from(failure: ProxyError) -> Self {
        Self::Proxy(failure)
    }
}

impl From<SendError> for ExchangeError {
    fn from(error: SendError) -> Self {
        match error {
            // A TLS 1.3 server rejects a client certificate after the handshake has ended for the client.
            SendError::NotSent(error) | SendError::NoResponse(error) => {
                Self::Respond(diagnostics::explain_tls_error(&error).unwrap_or_else(|| {
                    ProxyError::new(
                        ErrorReason::UpstreamProtocol,
                        format!("the upstream closed the connection without a response: {error}"),
                    )
                }))
            }
            SendError::Proxy(failure) => Self::Respond(failure),
            SendError::Aborted(error) => Self::Abort(error),
        }
    }
}

fn timed_out(cause: &str) -> SendError {
    SendError::Proxy(ProxyError::new(ErrorReason::UpstreamTimeout, cause))
}

fn protocol_error(cause: &str) -> SendError {
    SendError::Proxy(ProxyError::new(ErrorReason::UpstreamProtocol, cause))
}

/// The status after `HTTP/1.x `; 0 for anything else, which the parser rejects later.
pub(super) fn status_of(head: &[u8]) -> u16 {
    match head.get(9..12) {
        Some(digits) if digits.iter().all(u8::is_ascii_digit) => {
            digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'))
        }
        _ => 0,
    }
}
