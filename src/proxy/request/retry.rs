//! The retry after a 401: the request is sent again with another credential, if there is one and the buffer
//! still has the whole request.
//!
//! A 401 means that the request was not processed (RFC 9110 §15.5.2), so any method may be sent again. So does
//! gRPC's UNAUTHENTICATED, if no message came before it. What
//! was read from the caller stays in the read buffer until the head of the response has arrived
//! ([`Buffer::retain`]). Nothing is copied. A request that is larger than the buffer is passed on without a
//! retry.
//!
//! | step | `buffer` | `out` | `response` |
//! |---|---|---|---|
//! | before a request is sent | the body as far as it was read | head | empty |
//! | `send` | retained: head and body | head, and that part of the body | head of the response |
//! | retry | rewound to behind the head | head with another signature | empty |
//! | no retry | released | to be overwritten | head of the response |

use std::time::Duration;

use super::outcome::ExchangeError;
use super::state::{Request, whole_body};
use crate::credential::{UpstreamResponse, Verdict};
use crate::metrics::{RetryReason, RetryResult};
use crate::net::buffer::Buffer;
use crate::proto::challenge;
use crate::proxy::error::ProxyError;
use crate::proxy::wire::body::Body;
use crate::proxy::wire::framing::{Framing, Segment};
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::HeaderBuffer;
use crate::proxy::wire::relay::Io;
use crate::upstream::{Connection, Endpoint};

/// The status that a signer sees for gRPC's UNAUTHENTICATED as well.
pub(super) const UNAUTHORIZED: u16 = 401;

/// The head of a 401 response, and what the signer decided about it.
struct Unauthorized {
    framing: Framing,
    keep_alive: bool,
    keep_alive_for: Option<Duration>,
    verdict: Verdict,
}

impl Request<'_> {
    /// Whether the request may be sent again after a 401. What is read of it is then retained until its
    /// response begins.
    pub(super) fn may_retry_after_401(&self) -> bool {
        self.service.retry_on_401 && self.service.credential.signer().is_refreshable()
    }

    /// Sends the head in `out` and the body, and reads until the head of the response is complete; returns
    /// its length. After a 401 for which there is another credential, sends all of it again.
    pub(super) async fn send_with_retry(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
        response: &mut Buffer,
    ) -> Result<(Connection, usize), ExchangeError> {
        loop {
            // The part of the body that was read already is sent with the head.
            let moved = self.body.take(buffer, out);
            moved.map_err(ProxyError::from)?;
            let sent = self.send(io, buffer, out, response).await;
            let mut is_unauthorized = match &sent {
                Ok((_, length)) => self.is_unauthorized(response, *length),
                Err(_) => false,
            };
            let sent = match sent {
                // Boxed: the future of every request reserves space for what it awaits, and few requests get here.
                Ok((mut connection, length)) if !is_unauthorized && self.has_rule_for(response) => {
                    let ruled = Box::pin(self.apply_rules(&mut connection, response, length)).await;
                    is_unauthorized = self.is_rejected_by_rule;
                    ruled.map(|()| (connection, length))
                }
                sent => sent,
            };
            let is_retry = self.rejected.is_some();
            if is_retry || self.is_signed_again {
                let result = match (&sent, is_unauthorized) {
                    (Err(_), _) => RetryResult::Error,
                    (Ok(_), true) => RetryResult::Unauthorized,
                    (Ok(_), false) => RetryResult::Success,
                };
                self.service.metrics.retried(RetryReason::Unauthorized, result);
            }
            let (connection, length) = sent?;
            if !is_unauthorized || is_retry || !self.service.credential.signer().is_refreshable() {
                buffer.release_retained();
                return Ok((connection, length));
            }
            let endpoint = self.endpoint;
            let unauthorized = self.parse_unauthorized(&response.filled()[..length], buffer)?;
            // Boxed: the future of every request reserves space for what it awaits, and few requests get
            // here.
            if !Box::pin(self.prepare_retry(unauthorized.verdict, buffer, out)).await {
                buffer.release_retained();
                return Ok((connection, length));
            }
            response.consume(length);
            discard(endpoint, unauthorized, connection, response);
        }
    }

    /// Whether the response, whose head has this length, says or may say that the credential was not accepted.
    fn is_unauthorized(&mut self, response: &mut Buffer, length: usize) -> bool {
        self.is_grpc_unauthenticated = self.meta.is_grpc
            && self.service.credential.signer().is_refreshable()
            && self.is_unauthenticated_call(response, length);
        if self.is_grpc_unauthenticated {
            self.service.metrics.grpc_unauthenticated();
        }
        // What is not HTTP is rejected by the parser later.
        self.is_grpc_unauthenticated
            || match response.filled().get(9..12) {
                Some(b"401") => true,
                Some([b'4', tens, ones]) => {
                    let digit = |byte: &u8| u16::from(byte.wrapping_sub(b'0'));
                    let status = 400 + 10 * digit(tens) + digit(ones);
                    self.service.credential.signer().may_reject_with(status)
                }
                _ => false,
            }
    }

    /// Whether the response is gRPC's UNAUTHENTICATED without a message before it: in the head ("Trailers-Only"),
    /// or in trailers that came with the head.
    fn is_unauthenticated_call(&self, response: &mut Buffer, length: usize) -> bool {
        let (head, mut rest) = response.filled_mut().split_at_mut(length);
        let mut header_buffer = HeaderBuffer::new();
        let max_fields = self.max_response_fields();
        let Ok(head) = parse_head::response(head, &mut header_buffer, self.meta.is_head, max_fields) else {
            return false;
        };
        if head.is_grpc_unauthenticated {
            return true;
        }
        let mut framing = head.framing;
        while let Ok(Segment::Framing(count)) = framing.next_of_response(rest, None) {
            rest = &mut rest[count..];
        }
        framing.is_grpc_unauthenticated()
    }

    /// Asks for another credential for the next call, after trailers with gRPC's UNAUTHENTICATED were passed on.
    pub(super) async fn refresh_after_trailers(&self) {
        self.service.metrics.grpc_unauthenticated();
        let signer = self.service.credential.signer();
        let response = UpstreamResponse {
            origin: &self.endpoint.origin,
            status: UNAUTHORIZED,
            fields: &[],
            is_retry: self.rejected.is_some(),
            can_retry: false,
        };
        if signer.is_refreshable() && signer.observe(self.used, &response) == Verdict::Refresh {
            self.refreshed(Duration::ZERO).await;
        }
    }

    /// Requests a credential newer than the one that was sent, and waits for it, `limit` at most. Returns whether there is one.
    async fn refreshed(&self, limit: Duration) -> bool {
        self.service.credential.signer().refreshed(self.used, self.subject.as_deref(), limit).await
    }

    /// Carries out the verdict of the signer. Returns whether the request was written with another signature
    /// to `out`; if not, the 401 is passed back.
    async fn prepare_retry(&mut self, verdict: Verdict, buffer: &mut Buffer, out: &mut Buffer) -> bool {
        let can_retry = self.can_retry(buffer);
        match verdict {
            Verdict::Pass => return false,
            Verdict::Again if self.is_signed_again => return false,
            Verdict::Again | Verdict::Retry => {}
            Verdict::Refresh => {
                // Requested even without a retry: the next request needs the new credential.
                let limit = if can_retry { self.refresh_wait_limit() } else { Duration::ZERO };
                if !self.refreshed(limit).await {
                    return false;
                }
            }
        }
        let Some(retained) = buffer.retained().filter(|_| can_retry) else { return false };
        let (endpoint, used) = (self.endpoint, self.used);
        let mut signed = Buffer::acquire();
        self.rejected = (verdict != Verdict::Again).then_some(used);
        let written = self.write_head(&retained[..self.head_length], &mut signed, &[]);
        if written.is_err() || signed.is_empty() {
            (self.endpoint, self.used, self.rejected) = (endpoint, used, None);
            return false;
        }
        self.is_signed_again |= verdict == Verdict::Again;
        (self.is_observed, self.is_rejected_by_rule) = (false, false);
        self.body = whole_body(self.service, &self.meta);
        buffer.rewind();
        buffer.consume(self.head_length);
        std::mem::swap(out, &mut signed);
        if let Some(span) = &mut self.span {
            span.retried();
        }
        true
    }

    /// Whether the request may be sent again, and the buffer has all of it.
    fn can_retry(&self, buffer: &Buffer) -> bool {
        self.body.is_done() && buffer.retained().is_some() && self.may_retry_after_401()
    }

    /// Parses the head of a 401 response, and passes it to the signer.
    fn parse_unauthorized(&mut self, bytes: &[u8], buffer: &Buffer) -> Result<Unauthorized, ProxyError> {
        let mut header_buffer = HeaderBuffer::new();
        let head =
            parse_head::response(bytes, &mut header_buffer, self.meta.is_head, self.max_response_fields())?;
        let response = UpstreamResponse {
            origin: &self.endpoint.origin,
            status: if self.is_grpc_unauthenticated || self.is_rejected_by_rule {
                UNAUTHORIZED
            } else {
                head.status
            },
            fields: head.fields,
            is_retry: false,
            can_retry: self.can_retry(buffer),
        };
        // The credential is valid, but its scope is not sufficient (RFC 6750 §3.1). A new one would have the
        // same scope.
        let verdict = if challenge::has_error(head.fields, "insufficient_scope") {
            Verdict::Pass
        } else {
            self.is_observed = true;
            self.service.credential.signer().observe(self.used, &response)
        };
        Ok(Unauthorized {
            framing: head.framing,
            keep_alive: head.keep_alive,
            keep_alive_for: head.keep_alive_for,
            verdict,
        })
    }

    /// The limit on waiting for a new credential while the response is held back. It is at most half of the
    /// time that remains for the request, so that the second attempt has the other half.
    fn refresh_wait_limit(&self) -> Duration {
        let Some(total) = self.service.upstream.timeouts.total else { return self.service.token_wait };
        let remaining = total.saturating_sub(self.start.elapsed());
        self.service.token_wait.min(remaining / 2)
    }
}

/// Releases the connection to the pool if the whole response was read. Otherwise closes it, because reading
/// the rest would cost more than another connection.
fn discard(endpoint: &Endpoint, unauthorized: Unauthorized, connection: Connection, response: &mut Buffer) {
    let mut body = Body::new(unauthorized.framing);
    let is_read = matches!(body.count(response), Ok(true));
    if is_read && unauthorized.keep_alive {
        endpoint.release(connection, unauthorized.keep_alive_for);
    }
    response.clear();
}
