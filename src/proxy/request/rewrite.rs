//! The head of a request that is in flight, written and signed again.

use super::prepare::{Attempt, Identified, NotSigned, prepare};
use super::rejection::Rejection;
use super::state::{Request, SignedBody, whole_body};
use crate::net::buffer::Buffer;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::span::SpanSource;
use crate::proxy::wire::parse_head;
use crate::upstream::Endpoint;

impl Request<'_> {
    /// Writes the head for an upstream URL that is none of `failed`, with a new signature, to `out`, which is
    /// empty. `head` is the caller's. Leaves `out` empty if there is no usable credential.
    pub(super) fn write_head(
        &mut self,
        head: &[u8],
        out: &mut Buffer,
        failed: &[&Endpoint],
    ) -> Result<(), ProxyError> {
        let body = self.signed_body.as_ref();
        let attempt = Attempt {
            failed,
            endpoint: Some(self.endpoint),
            after: self.rejected,
            span: SpanSource::Existing(self.span.as_deref()),
            body: body.map(SignedBody::content),
            is_expect_answered: body.is_some_and(SignedBody::is_expect_answered),
            is_challenged: true,
            is_http2: self.protocol_requirements.downstream_http2,
            subject: self.subject.as_deref(),
            caller: Identified::As(self.caller.and_then(|caller| caller.id)),
        };
        let prepared =
            prepare(self.context, head, out, &attempt, self.slot).map_err(Rejection::into_error)?;
        debug_assert!(std::ptr::eq(prepared.service, self.service));
        self.endpoint = prepared.endpoint;
        match prepared.signed {
            Ok(version) => (self.used, self.sent) = (version, prepared.sent),
            Err(NotSigned::Refused(why)) => return Err(ProxyError::refused(why)),
            Err(
                NotSigned::NotReady
                | NotSigned::NeedsBody { .. }
                | NotSigned::NeedsRewrite { .. }
                | NotSigned::NeedsChallenge,
            ) => {}
        }
        Ok(())
    }

    /// Signs the request in `out` again. What was read of the request is retained in `buffer`.
    pub(super) fn sign_again(&mut self, buffer: &mut Buffer, out: &mut Buffer) -> Result<(), ProxyError> {
        let head = buffer.retained().and_then(|read| read.get(..self.head_length)).unwrap_or_default();
        let mut signed = Buffer::acquire();
        self.write_head(head, &mut signed, &[])?;
        if signed.is_empty() {
            return Err(ProxyError::new(ErrorReason::CredentialUnavailable, "no usable credential any more"));
        }
        std::mem::swap(out, &mut signed);
        self.rewind_body(buffer, out)
    }

    /// Assembles the request in `out` again, after parts of its body were sent. What was read of it is
    /// retained in `buffer`.
    pub(super) fn rewind_body(&mut self, buffer: &mut Buffer, out: &mut Buffer) -> Result<(), ProxyError> {
        let head = parse_head::end(out.filled(), 0).unwrap_or_default();
        out.bytes_mut().truncate(head);
        self.body = whole_body(self.service, &self.meta);
        buffer.rewind();
        buffer.consume(self.head_length);
        self.body.take(buffer, out).map_err(ProxyError::from)
    }
}
