//! Sends a request and waits for the head of its answer.

use std::io;
use std::time::Instant;

use tokio::io::AsyncWriteExt;

use super::outcome::{ExchangeError, LATE_BODY};
use super::state::Request;
use crate::metrics::{RetryReason, RetryResult};
use crate::net::buffer::Buffer;
use crate::proxy::alert;
use crate::proxy::diagnostics;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::{HeaderBuffer, MAX_HEAD};
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::{BodyHalf, Io, RelayError, SendOutcome};
use crate::proxy::wire::write_head;
use crate::upstream::{Connection, is_unprocessed};

impl Request<'_> {
    /// Sends the request and reads until the head of the final answer is whole; returns its length.
    ///
    /// A kept-alive connection may have been closed by the upstream just as it was taken. Where nothing of an answer came
    /// and sending the request again cannot do harm, it is sent once more on another connection;
    /// so is one that the upstream says it has not acted on (HTTP/2).
    pub(super) async fn send(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
        answer: &mut Buffer,
    ) -> Result<(Connection, usize), ExchangeError> {
        let upstream = &self.service.upstream;
        let mut retry = None;
        loop {
            let endpoint = self.endpoint;
            let is_whole = self.body.is_done();
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
                        upstream.record_failure(endpoint);
                        if !upstream.has_alternatives() || buffer.retained().is_none() {
                            self.record_retry(retry, RetryResult::Error);
                            return Err(ProxyError::from(error).into());
                        }
                        // On the heap: few get here.
                        Box::pin(self.fail_over(&error, buffer, out)).await?;
                        continue;
                    }
                },
            };
            self.address = Some(connection.address);
            self.ping = connection.ping_handle();
            if let Some(span) = &mut self.span {
                span.sent(&connection);
            }
            let unanswered = match self.send_once(io, buffer, out, answer, &mut connection).await {
                Ok(length) => {
                    if retry.is_some() {
                        let is_unauthorized = status_of(answer.filled()) == 401;
                        let result =
                            if is_unauthorized { RetryResult::Unauthorized } else { RetryResult::Success };
                        self.record_retry(retry, result);
                    }
                    return Ok((connection, length));
                }
                Err(unanswered) => unanswered,
            };
            let mut reason = RetryReason::ConnectionLost;
            let may_repeat = match &unanswered {
                SendError::NotSent(_) => true,
                SendError::NoResponse(error) if is_unprocessed(error) => {
                    reason = RetryReason::Unprocessed;
                    is_whole || buffer.retained().is_some()
                }
                SendError::NoResponse(_) => {
                    endpoint.record_lost(&connection);
                    let is_harmless = is_whole && self.meta.is_idempotent;
                    is_harmless && (connection.is_reused() || upstream.retry_idempotent)
                }
                SendError::Proxy(_) | SendError::Aborted(_) => false,
            };
            if unanswered.is_timeout()
                && let Some(doubt) = self.ping.take()
            {
                doubt.request_ping();
            }
            // A signature that is good for one attempt is made again from the caller's head.
            let may_repeat = may_repeat
                && (!self.service.credential.signer().is_single_use() || buffer.retained().is_some());
            if retry.is_some() || !may_repeat {
                self.record_retry(retry, RetryResult::Error);
                let trouble = ExchangeError::from(unanswered);
                if matches!(&trouble, ExchangeError::Respond(failure) if failure.is_of_upstream()) {
                    upstream.record_failure(endpoint);
                }
                return Err(trouble);
            }
            retry = Some(reason);
            answer.clear();
            if self.service.credential.signer().is_single_use() {
                self.sign_again(buffer, out)?;
            } else if !is_whole && !matches!(unanswered, SendError::NotSent(_)) {
                self.rewind_body(buffer, out)?;
            }
        }
    }

    fn record_retry(&self, retry: Option<RetryReason>, result: RetryResult) {
        if let Some(reason) = retry {
            self.service.metrics.retried(reason, result);
        }
    }

    async fn send_once(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &Buffer,
        answer: &mut Buffer,
        connection: &mut Connection,
    ) -> Result<usize, SendError> {
        let (stream, timeouts) = (&mut connection.stream, &self.service.upstream.timeouts);
        let asked = Instant::now();
        let written = self.timer.timeout(timeouts.idle, async {
            let first = stream.write(out.filled()).await.map_err(SendError::NotSent)?;
            stream.write_all(&out.filled()[first..]).await.map_err(SendError::NoResponse)?;
            stream.flush().await.map_err(SendError::NoResponse)
        });
        let mut lost = match written.await {
            Ok(Ok(())) => None,
            Ok(Err(SendError::NoResponse(error))) => Some(error),
            Ok(Err(other)) => return Err(other),
            Err(_) => return Err(timed_out("the upstream did not take the request in time")),
        };
        let mut sending = !self.body.is_done() && lost.is_none();
        let mut seen = 0;
        let mut is_first = true;
        let mut is_waiting = false;
        loop {
            let length = parse_head::end(answer.filled(), seen);
            seen = answer.filled().len();
            if length.unwrap_or(seen) > MAX_HEAD {
                return Err(protocol("the head of the upstream's answer is larger than 64 KiB"));
            }
            if let Some(length) = length {
                if let Some(interim) = self.interim(&answer.filled()[..length])? {
                    answer.consume(length);
                    seen = 0;
                    is_first = false;
                    is_waiting = false;
                    relay::write(io, interim.filled(), self.timer, timeouts.idle)
                        .await
                        .map_err(SendError::Aborted)?;
                    continue;
                }
                let status = status_of(answer.filled());
                self.service.metrics.upstream_answered(status, asked.elapsed());
                self.service.upstream.record_response(self.endpoint, status);
                if status == 400 {
                    diagnostics::warn_if_plain_http_to_tls(
                        &self.service.name,
                        self.endpoint,
                        answer.filled(),
                    );
                }
                return Ok(length);
            }
            if sending {
                let mut caller = BodyHalf { io, buffer, body: &mut self.body };
                self.is_sending = true;
                let sent =
                    relay::send_request_body(&mut caller, stream, answer, self.timer, timeouts.idle).await;
                self.is_sending = false;
                match sent.map_err(SendError::broken)? {
                    SendOutcome::Complete => sending = false,
                    SendOutcome::EarlyResponse => {}
                    SendOutcome::WriteFailed(error) => {
                        sending = false;
                        lost = Some(error);
                    }
                }
                continue;
            }
            // Not renewed by a head that comes byte by byte.
            if !std::mem::replace(&mut is_waiting, true) {
                self.timer.reset();
            }
            let listening = relay::await_response_head(io, buffer, stream, answer);
            let read = self.timer.timeout_remaining(timeouts.first_byte, listening).await;
            let read = read.map_err(|_| timed_out("the upstream did not answer in time"))?;
            match read.map_err(SendError::Aborted)? {
                Ok(1..) => {}
                Ok(0) | Err(_) if !answer.is_empty() => {
                    let hint = diagnostics::explain_non_http(self.endpoint, answer.filled());
                    return Err(protocol(&format!(
                        "the upstream closed the connection within the head of its answer{hint}"
                    )));
                }
                end => {
                    let error = match end {
                        // What reading says of a stream is more than what writing does.
                        Err(error) if is_unprocessed(&error) => error,
                        end => lost.or(end.err()).unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()),
                    };
                    return Err(if is_first {
                        SendError::NoResponse(error)
                    } else {
                        protocol("the upstream closed the connection after an interim answer")
                    });
                }
            }
        }
    }

    /// An interim answer (1xx but 101), rewritten for the caller; empty for one that knows only HTTP/1.0.
    fn interim(&self, bytes: &[u8]) -> Result<Option<Buffer>, ProxyError> {
        let status = status_of(bytes);
        if !(100..200).contains(&status) || status == 101 {
            return Ok(None);
        }
        let mut header_buffer = HeaderBuffer::new();
        let head = parse_head::response(bytes, &mut header_buffer, self.meta.is_head)?;
        let mut out = Buffer::acquire();
        if !self.meta.is_http10 {
            write_head::informational(out.bytes_mut(), &head);
        }
        Ok(Some(out))
    }
}

/// Why there is no answer to pass back.
enum SendError {
    /// Not a byte of the request went out.
    NotSent(io::Error),
    /// The request went out, and not a byte of an answer came back.
    NoResponse(io::Error),
    /// Anything that sending again does not mend.
    Proxy(ProxyError),
    /// The caller is gone.
    Aborted(RelayError),
}

impl SendError {
    fn is_timeout(&self) -> bool {
        matches!(self, Self::Proxy(failure) if failure.reason == ErrorReason::UpstreamTimeout)
    }

    fn broken(broken: RelayError) -> Self {
        match broken {
            RelayError::DownstreamBody(error) => Self::Proxy(error.into()),
            RelayError::Idle => timed_out("the upstream took no more of the request's body for too long"),
            RelayError::DownstreamIdle => Self::Proxy(ProxyError {
                detail: Some(LATE_BODY),
                ..ProxyError::new(ErrorReason::BadRequest, broken.to_string())
            }),
            RelayError::Upstream(error) => Self::NoResponse(error),
            RelayError::Downstream(_) | RelayError::UpstreamBody(_) => Self::Aborted(broken),
        }
    }
}

impl From<ProxyError> for SendError {
    fn from(failure: ProxyError) -> Self {
        Self::Proxy(failure)
    }
}

impl From<SendError> for ExchangeError {
    fn from(unanswered: SendError) -> Self {
        match unanswered {
            // TLS 1.3 refuses a client's certificate after the client thinks that the handshake is done.
            SendError::NotSent(error) | SendError::NoResponse(error) => {
                Self::Respond(alert::rejection(&error).unwrap_or_else(|| {
                    ProxyError::new(
                        ErrorReason::UpstreamProtocol,
                        format!("the upstream closed the connection without an answer: {error}"),
                    )
                }))
            }
            SendError::Proxy(failure) => Self::Respond(failure),
            SendError::Aborted(broken) => Self::Abort(broken),
        }
    }
}

fn timed_out(cause: &str) -> SendError {
    SendError::Proxy(ProxyError::new(ErrorReason::UpstreamTimeout, cause))
}

fn protocol(cause: &str) -> SendError {
    SendError::Proxy(ProxyError::new(ErrorReason::UpstreamProtocol, cause))
}

/// The three digits after `HTTP/1.x `; 0 for anything else, which the parser then rejects.
fn status_of(head: &[u8]) -> u16 {
    match head.get(9..12) {
        Some(digits) if digits.iter().all(u8::is_ascii_digit) => {
            digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'))
        }
        _ => 0,
    }
}
