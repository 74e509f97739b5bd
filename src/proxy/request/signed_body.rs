//! The body of a request whose credential signs it. It is read completely before the head is written.

use super::outcome::{ExchangeError, LATE_BODY};
use super::state::{Request, SignedBody, whole_body};
use crate::net::buffer::Buffer;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::wire::framing::Segment;
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::BodyKind;
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::{Io, RelayError};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

const LARGE_BODY: &str = "The credential of the service signs the body, and the body is larger than Sidekey holds for that (64 KiB); \
     nothing was forwarded.";

impl Request<'_> {
    /// Reads the whole body behind the head at the front of `buffer`, at most `max` bytes of content. Nothing
    /// is consumed: the body is sent from the buffer afterwards.
    pub(super) async fn read_body_to_sign(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        max: usize,
    ) -> Result<(), ExchangeError> {
        let mut body = SignedBody { content: Vec::new(), end: 0, is_expect_answered: false };
        let mut framing = whole_body(self.service, &self.meta).into_framing();
        let mut at = self.head_length;
        let expects_continue = parse_head::expects_continue(&buffer.filled()[..at]);
        loop {
            let count = match framing.next(&buffer.filled()[at..]).map_err(ProxyError::from)? {
                Segment::Content(count) => {
                    if body.content.len() + count > max {
                        let cause =
                            format!("the credential signs the body, which is larger than {max} bytes");
                        let error = ProxyError::new(ErrorReason::TooLarge, cause);
                        return Err(ProxyError { detail: Some(LARGE_BODY), ..error }.into());
                    }
                    body.content.extend_from_slice(&buffer.filled()[at..at + count]);
                    count
                }
                Segment::Framing(count) => count,
                Segment::NeedMore => 0,
            };
            at += count;
            if framing.is_done() {
                body.end = at;
                self.signed_body = Some(body);
                return Ok(());
            }
            if count > 0 {
                continue;
            }
            // Chunked coding can be many times as large as its content.
            if at > self.head_length + 2 * max + 1024 {
                return Err(ProxyError::new(
                    ErrorReason::TooLarge,
                    "the coding of a signed body is too large",
                )
                .into());
            }
            let idle = self.service.upstream.timeouts.idle;
            if expects_continue && !body.is_expect_answered {
                body.is_expect_answered = true;
                relay::write(io, CONTINUE, self.timer, idle).await.map_err(ExchangeError::Abort)?;
            }
            match self.timer.timeout(idle, buffer.fill(io)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0)) => {
                    return Err(ExchangeError::Abort(RelayError::Downstream(
                        std::io::ErrorKind::UnexpectedEof.into(),
                    )));
                }
                Ok(Err(error)) => return Err(ExchangeError::Abort(RelayError::Downstream(error))),
                Err(_) => {
                    let error = ProxyError::new(
                        ErrorReason::BadRequest,
                        "a body that is signed did not arrive in time",
                    );
                    return Err(ProxyError { detail: Some(LATE_BODY), ..error }.into());
                }
            }
        }
    }

    /// Replaces the request at the front of `buffer`, whose body was read, by the form in which it is signed. What
    /// follows it stays.
    pub(super) fn rewrite_request(&mut self, buffer: &mut Buffer) -> Result<(), ProxyError> {
        let Some(read) = self.signed_body.take() else { return Ok(()) };
        let signer = self.service.credential.signer();
        let rewritten = signer
            .rewrite(&buffer.filled()[..self.head_length], &read.content)
            .map_err(ProxyError::refused)?;
        let mut replaced = Buffer::acquire();
        for part in [&rewritten.head[..], &rewritten.body, &buffer.filled()[read.end..]] {
            replaced.bytes_mut().extend_from_slice(part);
        }
        std::mem::swap(buffer, &mut replaced);
        self.head_length = rewritten.head.len();
        self.meta.body = BodyKind::Length(rewritten.body.len() as u64);
        self.body = whole_body(self.service, &self.meta);
        let end = self.head_length + rewritten.body.len();
        self.signed_body = Some(SignedBody { content: rewritten.body, end, ..read });
        Ok(())
    }
}
