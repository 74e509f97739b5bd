//! After a 401: the request is sent again with another credential, if there is one and nothing of the request is lost.
//!
//! A 401 means that the request was not processed (RFC 9110 §15.5.2), so any method may be sent again. What was read from the
//! caller stays in the read buffer until the head of the response is there ([`Buffer::retain`]); nothing is copied, and a request
//! that outgrows the buffer is passed on without a retry.
//!
//! | step | `buffer` | `out` | `answer` |
//! |---|---|---|---|
//! | before a request is sent | the body that is here | head | empty |
//! | `send` | retained: head and body | head, and the body that was here | head of the response |
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
use crate::proxy::wire::framing::Framing;
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::HeaderBuffer;
use crate::proxy::wire::relay::{Body, Io};
use crate::upstream::{Connection, Endpoint};

/// A response 401 that was read as far as its head.
struct Unauthorized {
    framing: Framing,
    keep_alive: bool,
    keep_alive_for: Option<Duration>,
    verdict: Verdict,
}

impl Request<'_> {
    /// Whether it may be sent again after a 401. What is read of it is then retained until its response begins.
    pub(super) fn may_retry_after_401(&self) -> bool {
        self.service.retry_on_401 && self.service.credential.signer().is_refreshable()
    }

    /// Sends the head in `out` and the body, and reads until the head of the response is complete; returns its length. After a
    /// 401 for which there is another credential, sends all of it again.
    pub(super) async fn send_with_retry(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
        answer: &mut Buffer,
    ) -> Result<(Connection, usize), ExchangeError> {
        loop {
            // What of the body is here already goes out with the head.
            let taken = self.body.take(buffer, out);
            taken.map_err(ProxyError::from)?;
            let sent = self.send(io, buffer, out, answer).await;
            // Whatever is not HTTP is rejected where it is parsed.
            let is_unauthorized = answer.filled().get(9..12) == Some(b"401");
            let is_retry = self.rejected.is_some();
            if is_retry {
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
            let unauthorized = self.parse_unauthorized(&answer.filled()[..length], buffer)?;
            // On the heap: every request has room for what it awaits, and few get here.
            if !Box::pin(self.prepare_retry(unauthorized.verdict, buffer, out)).await {
                buffer.release_retained();
                return Ok((connection, length));
            }
            answer.consume(length);
            discard(endpoint, unauthorized, connection, answer);
        }
    }

    /// Follows the verdict of the credential. Returns whether the request was written with another signature to `out`; if not,
    /// the response at hand is passed on.
    async fn prepare_retry(&mut self, verdict: Verdict, buffer: &mut Buffer, out: &mut Buffer) -> bool {
        let can_retry = self.can_retry(buffer);
        match verdict {
            Verdict::Pass => return false,
            Verdict::Retry => {}
            Verdict::Refresh => {
                // Asked for in any case: the next request needs it.
                let limit = if can_retry { self.refresh_wait_limit() } else { Duration::ZERO };
                if !self.service.credential.signer().refreshed(self.used, limit).await {
                    return false;
                }
            }
        }
        let Some(retained) = buffer.retained().filter(|_| can_retry) else { return false };
        let (endpoint, used) = (self.endpoint, self.used);
        let mut signed = Buffer::acquire();
        self.rejected = Some(used);
        let written = self.write_head(&retained[..self.head_length], &mut signed, &[]);
        if written.is_err() || signed.is_empty() {
            (self.endpoint, self.used, self.rejected) = (endpoint, used, None);
            return false;
        }
        self.is_observed = false;
        self.body = whole_body(self.service, &self.meta);
        buffer.rewind();
        buffer.consume(self.head_length);
        std::mem::swap(out, &mut signed);
        if let Some(span) = &mut self.span {
            span.replayed();
        }
        true
    }

    /// Whether all of the request is here, to be sent again.
    fn can_retry(&self, buffer: &Buffer) -> bool {
        self.body.is_done() && buffer.retained().is_some() && self.may_retry_after_401()
    }

    /// Reads the head of a response 401, and shows it to the credential.
    fn parse_unauthorized(&mut self, bytes: &[u8], buffer: &Buffer) -> Result<Unauthorized, ProxyError> {
        let mut header_buffer = HeaderBuffer::new();
        let head = parse_head::response(bytes, &mut header_buffer, self.meta.is_head)?;
        let response = UpstreamResponse {
            origin: &self.endpoint.origin,
            status: head.status,
            fields: head.fields,
            is_retry: false,
            can_retry: self.can_retry(buffer),
        };
        // The credential is good and does not suffice: another one of its kind would not either (RFC 6750 §3.1).
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

    /// How long the response may be held back for a new credential: at most half of what is left of the request's time, so
    /// that the rest is enough for the second attempt.
    fn refresh_wait_limit(&self) -> Duration {
        let left =
            self.service.upstream.timeouts.total.map(|total| total.saturating_sub(self.start.elapsed()));
        left.map_or(self.service.token_wait, |left| self.service.token_wait.min(left / 2))
    }
}

/// Gives the connection back if the whole response is here. Otherwise it is closed, because reading the rest would cost more
/// than another connection.
fn discard(endpoint: &Endpoint, unauthorized: Unauthorized, connection: Connection, answer: &mut Buffer) {
    let mut body = Body::new(unauthorized.framing);
    let is_read = matches!(body.count(answer), Ok(true));
    if is_read && unauthorized.keep_alive {
        endpoint.release(connection, unauthorized.keep_alive_for);
    }
    answer.clear();
}
