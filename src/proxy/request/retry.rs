//! After a 401: the request is sent once more, with another credential, where there is one and nothing of the request is
//! lost.
//!
//! A 401 means that the request was not processed (RFC 9110 §15.5.2), so any method may be sent again. What was read from the
//! caller stays in the read buffer until the head of the answer is there ([`Buffer::hold`]); nothing is copied, and a request
//! that outgrows the buffer is passed on as ever and not replayed. The head is written anew by `prepare`, as for any request.

use std::time::Duration;

use httparse::Header;

use super::exchange::{ExchangeError, Request, whole_body};
use super::prepare::prepare;
use crate::credential::Switch;
use crate::metrics::{RetryReason, RetryResult};
use crate::net::buffer::Buffer;
use crate::proxy::error::ProxyError;
use crate::proxy::span::SpanSource;
use crate::proxy::wire::framing::Framing;
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::HeaderBuffer;
use crate::proxy::wire::relay::{Body, Io};
use crate::upstream::{Connection, Endpoint};

/// An answer 401 that was read as far as its head.
struct Unauthorized {
    framing: Framing,
    keep_alive: bool,
    keep_alive_for: Option<Duration>,
    /// The credential is good, and does not allow this: another one of its kind would not either (RFC 6750 §3.1).
    is_scope: bool,
    /// The token is good, and its proof lacked a nonce that is known now (RFC 9449 §9).
    is_nonce: bool,
}

impl Request<'_> {
    /// Whether it may be sent again after a 401; what is read of it is held until its answer begins.
    pub(crate) fn may_retry_after_401(&self) -> bool {
        self.service.replay_on_401 && self.service.credential.can_change()
    }

    /// Sends the head in `out` and the body and reads until the head of the answer is whole; returns its length. After a 401
    /// that another credential may turn, all of it once more.
    pub(crate) async fn send_with_retry(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
        answer: &mut Buffer,
    ) -> Result<(Connection, usize), ExchangeError> {
        let mut is_retry = false;
        loop {
            // What of the body is here already goes out with the head.
            let taken = self.body.take(buffer, out);
            taken.map_err(ProxyError::from)?;
            let asked = self.send(io, buffer, out, answer).await;
            // Whatever is not HTTP is refused where it is parsed.
            let is_refused = answer.filled().get(9..12) == Some(b"401");
            if is_retry {
                let result = match (&asked, is_refused) {
                    (Err(_), _) => RetryResult::Error,
                    (Ok(_), true) => {
                        self.service.credential.refused_again();
                        RetryResult::Unauthorized
                    }
                    (Ok(_), false) => RetryResult::Success,
                };
                self.service.metrics.retried(RetryReason::Unauthorized, result);
            }
            let (connection, length) = asked?;
            if !is_refused {
                self.record_accepted(answer.filled(), is_retry);
            }
            if !is_refused || is_retry || !self.service.credential.can_change() {
                buffer.release_retained();
                return Ok((connection, length));
            }
            let endpoint = self.endpoint;
            let unauthorized = self.parse_unauthorized(&answer.filled()[..length])?;
            // On the heap: every request reserves memory for what it awaits, and few get here.
            if !Box::pin(self.prepare_retry(&unauthorized, buffer, out)).await {
                buffer.release_retained();
                return Ok((connection, length));
            }
            answer.consume(length);
            discard(endpoint, unauthorized, connection, answer);
            is_retry = true;
        }
    }

    /// Has another credential made and, where the request can be sent again, waits for it and writes the request with it into
    /// `out`. Where it returns false, the answer at hand is to be passed on.
    async fn prepare_retry(
        &mut self,
        unauthorized: &Unauthorized,
        buffer: &mut Buffer,
        out: &mut Buffer,
    ) -> bool {
        if unauthorized.is_scope {
            return false;
        }
        let is_whole = self.body.is_done() && buffer.retained().is_some() && self.may_retry_after_401();
        let limit = is_whole.then(|| self.refresh_wait_limit());
        if !unauthorized.is_nonce && !self.service.credential.renewed(self.used, limit).await {
            return false;
        }
        let Some(held) = buffer.retained().filter(|_| is_whole) else { return false };
        let mut anew = Buffer::acquire();
        let span_source = SpanSource::Existing(self.span.as_deref());
        let bytes = &held[..self.head_length];
        let found = prepare(self.context, bytes, &mut anew, &[], Some(self.used), span_source);
        let Some(found) = found.ok().filter(|_| !anew.is_empty()) else { return false };
        self.refused = Some(self.used);
        self.used = found.used;
        self.endpoint = found.endpoint;
        self.body = whole_body(self.service, &self.meta);
        buffer.rewind();
        buffer.consume(self.head_length);
        std::mem::swap(out, &mut anew);
        if let Some(span) = &mut self.span {
            span.replayed();
        }
        true
    }

    /// Takes note of a credential that the upstream took.
    fn record_accepted(&self, answer: &[u8], is_retry: bool) {
        // Whoever is overloaded or broken has perhaps not looked at it.
        if answer.get(9) == Some(&b'5') || answer.get(9..12) == Some(b"429") {
            return;
        }
        let name = &*self.service.name;
        match self.service.credential.accepted(self.used, is_retry) {
            None => {}
            Some(Switch::ToPrevious) => tracing::warn!(
                service.name = name,
                "the upstream refuses the new secret and takes the `previous` one, which is used until it takes the new one"
            ),
            Some(Switch::ToNew) => tracing::info!(
                service.name = name,
                "the upstream takes the new secret; the `previous` one is not used any more"
            ),
        }
    }

    /// Reads the head of an answer 401.
    fn parse_unauthorized(&self, bytes: &[u8]) -> Result<Unauthorized, ProxyError> {
        let mut header_buffer = HeaderBuffer::new();
        let head = parse_head::response(bytes, &mut header_buffer, self.meta.is_head)?;
        let names = |error| head.fields.iter().any(|field| names_error(field, error));
        Ok(Unauthorized {
            framing: head.framing,
            keep_alive: head.keep_alive,
            keep_alive_for: head.keep_alive_for,
            is_scope: names("insufficient_scope"),
            is_nonce: self.hears_nonce(head.fields) && names("use_dpop_nonce"),
        })
    }

    /// How long the answer may be held back for a new credential: half of what is left of the request's time at most, so
    /// that the rest is enough for the second try.
    fn refresh_wait_limit(&self) -> Duration {
        let left =
            self.service.upstream.timeouts.total.map(|total| total.saturating_sub(self.start.elapsed()));
        left.map_or(self.service.token_wait, |left| self.service.token_wait.min(left / 2))
    }
}

/// Gives the connection back where all of the answer is here; otherwise it is closed, because waiting for the rest would
/// cost more than another one.
fn discard(endpoint: &Endpoint, unauthorized: Unauthorized, connection: Connection, answer: &mut Buffer) {
    let mut body = Body::new(unauthorized.framing);
    let is_read = matches!(body.count(answer), Ok(true));
    if is_read && unauthorized.keep_alive {
        endpoint.release(connection, unauthorized.keep_alive_for);
    }
    answer.clear();
}

/// Whether a field is `WWW-Authenticate: …, error="NAME"`.
fn names_error(field: &Header<'_>, name: &str) -> bool {
    if !field.name.eq_ignore_ascii_case("www-authenticate") {
        return false;
    }
    let dense: String =
        field.value.iter().filter(|byte| !b" \t\"".contains(byte)).map(|byte| char::from(*byte)).collect();
    dense.to_ascii_lowercase().contains(&format!("error={name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_that_is_good_and_does_not_suffice_is_told_from_one_that_is_not() {
        let is_scope = |value: &str| {
            names_error(&Header { name: "WWW-authenticate", value: value.as_bytes() }, "insufficient_scope")
        };
        for value in [
            "Bearer realm=\"x\", error=\"insufficient_scope\", scope=\"admin\"",
            "bearer ERROR = insufficient_scope",
            "Basic realm=x, Bearer error=\"insufficient_scope\"",
        ] {
            assert!(is_scope(value), "{value}");
        }
        for value in ["Bearer", "Bearer error=\"invalid_token\"", "Bearer realm=\"insufficient_scope\"", ""] {
            assert!(!is_scope(value), "{value}");
        }
        let other = Header { name: "x", value: b"error=insufficient_scope" };
        assert!(!names_error(&other, "insufficient_scope"));
    }
}
