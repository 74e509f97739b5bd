//! The rules of a service (`refresh_on`) by which a response says that the credential was not accepted.

use super::outcome::ExchangeError;
use super::send::status_of;
use super::state::Request;
use crate::config::RefreshOn;
use crate::net::buffer::Buffer;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::wire::framing::{Framing, FramingError, Segment};
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::HeaderBuffer;
use crate::proxy::wire::text::{is_encoded, is_event_stream, is_text};
use crate::upstream::Connection;

/// The limit on the bytes of a body, with its coding, that are held and searched.
const MAX_HELD: usize = 64 * 1024;

impl Request<'_> {
    /// Whether a rule of the service may be about the response.
    pub(super) fn has_rule_for(&self, response: &Buffer) -> bool {
        self.service.refresh_on.as_ref().is_some_and(|rules| rules.is_about(status_of(response.filled())))
    }

    /// Decides by the rules whether the response, whose head has this length, is a rejection. If its body decides, reads as much of it
    /// as is searched; nothing is consumed.
    pub(super) async fn apply_rules(
        &mut self,
        connection: &mut Connection,
        response: &mut Buffer,
        length: usize,
    ) -> Result<(), ExchangeError> {
        let Some(rules) = &self.service.refresh_on else { return Ok(()) };
        let verdict = {
            let (head, _) = response.filled_mut().split_at_mut(length);
            let mut header_buffer = HeaderBuffer::new();
            let head = parse_head::response(
                head,
                &mut header_buffer,
                self.meta.is_head,
                self.max_response_fields(),
            )?;
            let location = head.fields.iter().find(|field| field.name.eq_ignore_ascii_case("location"));
            let is_redirect = (300..400).contains(&head.status)
                && location.is_some_and(|to| rules.has_redirect(&self.endpoint.origin, to.value));
            // A caller that is still sending may get no answer before it is done.
            let is_searched = rules.needs_body(head.status)
                && self.body.is_done()
                && is_text(head.fields)
                && !is_encoded(head.fields)
                && !is_event_stream(head.fields);
            match (is_redirect || rules.has_status(head.status), is_searched) {
                (true, _) => Verdict::Rejected,
                (false, true) => Verdict::Search(head.status, head.framing),
                (false, false) => Verdict::Accepted,
            }
        };
        self.is_rejected_by_rule = match verdict {
            Verdict::Accepted => false,
            Verdict::Rejected => true,
            Verdict::Search(status, framing) => {
                self.search(rules, status, framing, connection, response, length).await?
            }
        };
        Ok(())
    }

    /// Whether the first part of a body has the code of a rule.
    async fn search(
        &mut self,
        rules: &RefreshOn,
        status: u16,
        mut framing: Framing,
        connection: &mut Connection,
        response: &mut Buffer,
        length: usize,
    ) -> Result<bool, ExchangeError> {
        let mut content = Vec::new();
        let mut at = length;
        loop {
            let segment = framing.next_of_response(&mut response.filled_mut()[at..], None);
            let count = match segment.map_err(FramingError::of_upstream)? {
                Segment::Content(count) => {
                    content.extend_from_slice(&response.filled()[at..at + count]);
                    count
                }
                Segment::Framing(count) => count,
                Segment::NeedMore => 0,
            };
            at += count;
            if framing.is_done() || at - length >= MAX_HELD {
                return Ok(rules.has_code(status, &content));
            }
            if count > 0 {
                continue;
            }
            let limit = self.service.upstream.timeouts.idle;
            match self.timer.timeout(limit, response.fill(&mut connection.stream)).await {
                Ok(Ok(1..)) => {}
                // The end of a body without a length, or of one that is cut off: it is passed on as far as it came.
                Ok(Ok(0)) => return Ok(rules.has_code(status, &content)),
                Ok(Err(error)) => {
                    let cause = format!("the upstream's response ended early: {error}");
                    return Err(ProxyError::new(ErrorReason::UpstreamProtocol, cause).into());
                }
                Err(_) => {
                    let cause = "the body of the upstream's response did not arrive within timeouts.idle";
                    return Err(ProxyError::new(ErrorReason::UpstreamTimeout, cause).into());
                }
            }
        }
    }
}

/// What the head of a response says.
enum Verdict {
    Accepted,
    Rejected,
    /// The body decides.
    Search(u16, Framing),
}
