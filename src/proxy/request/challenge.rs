//! The challenge of an upstream before a body that cannot be sent again: a HEAD for the same resource, whose answer has it.
//!
//! A HEAD changes nothing, whatever the server makes of it. The caller's own method with an empty body, which other clients send, would
//! replace the resource on a server that asks for no credential.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::prepare::{Attempt, Identified, prepare};
use super::state::Request;
use crate::credential::{CredentialVersion, UpstreamResponse};
use crate::net::buffer::Buffer;
use crate::proxy::span::SpanSource;
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::HeaderBuffer;
use crate::upstream::{Connection, Endpoint, ProtocolRequirements};

/// The longest time for which a body waits for the answer. A server that does not answer a HEAD may answer the request itself.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The limit on interim responses before the one with the challenge.
const MAX_INTERIM_RESPONSES: u32 = 10;

impl Request<'_> {
    /// Asks the upstream, and passes its answer to the signer. Whatever fails here fails again with the request itself, and is
    /// reported then. `head` is the caller's.
    pub(super) async fn learn_challenge(&self, head: &[u8]) {
        // With several URLs the request may go to another one.
        if !self.service.retry_on_401 || self.service.upstream.has_alternatives() {
            return;
        }
        let Some(head) = head_request(head) else { return };
        let mut out = Buffer::acquire();
        let attempt = Attempt {
            span: SpanSource::Existing(self.span.as_deref()),
            is_challenged: true,
            is_http2: self.protocol_requirements.downstream_http2,
            subject: self.subject.as_deref(),
            caller: Identified::As(self.caller.and_then(|caller| caller.id)),
            ..Attempt::FIRST
        };
        // The rules of the service hold for it as well.
        let Ok(prepared) = prepare(self.context, &head, &mut out, &attempt, self.slot) else { return };
        let Ok(version) = prepared.signed else { return };
        let limit = self.service.upstream.timeouts.first_byte.min(MAX_WAIT);
        let asked = timeout(limit, self.ask(prepared.endpoint, &out, version)).await.ok().flatten();
        tracing::debug!(
            sidekey.service = self.service.name,
            http.response.status_code = asked,
            "the upstream was asked for its challenge, because the body cannot be sent again"
        );
    }

    /// Sends the head in `out`, on a new connection if an idle one turns out to be closed. Returns the status.
    async fn ask(&self, endpoint: &Endpoint, out: &Buffer, version: CredentialVersion) -> Option<u16> {
        let requirements = ProtocolRequirements { websocket: false, ..self.protocol_requirements };
        if let Some(connection) = endpoint.idle(requirements, true)
            && let Some(status) = self.ask_on(connection, endpoint, out, version).await
        {
            return Some(status);
        }
        let connection = endpoint.connect(requirements, self.service.upstream.timeouts.connect).await.ok()?;
        self.ask_on(connection, endpoint, out, version).await
    }

    /// Sends the head in `out`, and passes the head of the response to the signer. Returns the status.
    async fn ask_on(
        &self,
        mut connection: Connection,
        endpoint: &Endpoint,
        out: &Buffer,
        version: CredentialVersion,
    ) -> Option<u16> {
        connection.stream.write_all(out.filled()).await.ok()?;
        connection.stream.flush().await.ok()?;
        let mut response = Buffer::acquire();
        let (mut searched, mut interim_responses) = (0, 0);
        loop {
            let length = parse_head::end(response.filled(), searched);
            searched = response.filled().len();
            if length.unwrap_or(searched) > self.service.upstream.max_response_head.size {
                return None;
            }
            let Some(length) = length else {
                if response.fill(&mut connection.stream).await.ok()? == 0 {
                    return None;
                }
                continue;
            };
            let is_interim = |status| (100..200).contains(&status) && status != 101;
            let (status, keep_alive, keep_alive_for) = {
                let mut header_buffer = HeaderBuffer::new();
                let bytes = &response.filled()[..length];
                let head =
                    parse_head::response(bytes, &mut header_buffer, true, self.max_response_fields()).ok()?;
                if !is_interim(head.status) {
                    let seen = UpstreamResponse {
                        origin: &endpoint.origin,
                        status: head.status,
                        fields: head.fields,
                        is_retry: false,
                        can_retry: true,
                    };
                    self.service.credential.signer().observe(version, &seen);
                }
                (head.status, head.keep_alive, head.keep_alive_for)
            };
            if is_interim(status) {
                interim_responses += 1;
                if interim_responses > MAX_INTERIM_RESPONSES {
                    return None;
                }
                response.consume(length);
                searched = 0;
                continue;
            }
            if keep_alive && response.filled().len() == length && status != 101 {
                endpoint.release(connection, keep_alive_for);
            }
            return Some(status);
        }
    }
}

/// A HEAD for the resource of a request; `None` if it names no host.
fn head_request(head: &[u8]) -> Option<Vec<u8>> {
    let mut header_buffer = HeaderBuffer::new();
    let host = parse_head::request(head, &mut header_buffer).ok()?.host;
    let target = head.split(|byte| *byte == b' ').nth(1)?;
    if host.is_empty() {
        return None;
    }
    Some([&b"HEAD "[..], target, b" HTTP/1.1\r\nHost: ", host.as_bytes(), b"\r\n\r\n"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_request_is_for_the_same_resource_and_has_nothing_else() {
        let of = |head: &str| head_request(head.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
        let put =
            "PUT /a/b%20c?x=1 HTTP/1.1\r\nHost: a:80\r\nAuthorization: own\r\nContent-Length: 99999\r\n\r\n";
        assert_eq!(of(put).as_deref(), Some("HEAD /a/b%20c?x=1 HTTP/1.1\r\nHost: a:80\r\n\r\n"));
        let absolute =
            "PUT http://a.example/b HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(
            of(absolute).as_deref(),
            Some("HEAD http://a.example/b HTTP/1.1\r\nHost: a.example\r\n\r\n")
        );
        assert_eq!(of("PUT /a HTTP/1.0\r\n\r\n"), None);
    }
}
