//! The response: what its head says is decided, and it is passed back to the caller.

use std::time::Duration;

use http::header::SEC_WEBSOCKET_ACCEPT;

use super::outcome::{Disposition, ExchangeError};
use super::state::Request;
use crate::credential::UpstreamResponse;
use crate::net::buffer::Buffer;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::wire::framing::Framing;
use crate::proxy::wire::location::Locations;
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::HeaderBuffer;
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::{Body, BodyHalf, Io, RelayError};
use crate::proxy::wire::tunnel;
use crate::proxy::wire::write_head;
use crate::proxy::wire::write_head::TransferMode;
use crate::runtime::route::MatchKind;
use crate::upstream::Connection;

impl Request<'_> {
    /// How the URLs in an answer are to be understood, where they are to be rewritten at all.
    fn locations(&self, status: u16) -> Option<Locations<'_>> {
        let service = self.service;
        // Inside TLS by CONNECT the upstream's own URLs are the caller's as well.
        let is_at_home = self.matched_by == MatchKind::UpstreamUrl
            && self.context.peer.intercepted().is_some_and(|within| within.is_tls);
        let is_new = status == 201 || (300..400).contains(&status);
        (service.rewrite_location && is_new && !is_at_home).then(|| Locations {
            name: &service.name,
            is_tls: !self.endpoint.is_plain(),
            authority: &self.endpoint.authority,
            base_path: &self.endpoint.base_path,
            way: self.matched_by,
        })
    }

    /// Shows the head of the response to the credential, unless that has seen it.
    fn observe(&self, status: u16, fields: &[httparse::Header<'_>]) {
        if !self.is_observed {
            let (origin, is_retry) = (&*self.endpoint.origin, self.rejected.is_some());
            let response = UpstreamResponse { origin, status, fields, is_retry, can_retry: false };
            self.service.credential.signer().observe(self.used, &response);
        }
    }

    /// Decides how the answer is passed back and writes its head into `out`.
    pub(super) fn plan_response(&self, bytes: &[u8], out: &mut Buffer) -> Result<ResponsePlan, ProxyError> {
        let mut header_buffer = HeaderBuffer::new();
        let head = parse_head::response(bytes, &mut header_buffer, self.meta.is_head)?;
        self.observe(head.status, head.fields);
        out.clear();
        if head.status == 101 {
            if !(self.meta.is_websocket && head.is_websocket) {
                return Err(ProxyError::new(
                    ErrorReason::UpstreamProtocol,
                    "the upstream switched to a protocol nobody asked for",
                ));
            }
            if let Some(proof) = &self.expected_ws_accept {
                let is_it = |field: &httparse::Header<'_>| {
                    field.name.eq_ignore_ascii_case(SEC_WEBSOCKET_ACCEPT.as_str())
                        && field.value.trim_ascii() == proof.as_bytes()
                };
                if !head.fields.iter().any(is_it) {
                    let cause =
                        "the upstream's Sec-WebSocket-Accept is not the answer to the key it was sent";
                    return Err(ProxyError::new(ErrorReason::UpstreamProtocol, cause));
                }
            }
            write_head::informational(out.bytes_mut(), &head);
        } else if self.expected_ws_accept.is_some() && (200..300).contains(&head.status) {
            // Any 2xx would open the WebSocket in HTTP/2 (RFC 8441 §5).
            let cause = format!("the upstream answered {} and did not switch to WebSocket", head.status);
            return Err(ProxyError::new(ErrorReason::UpstreamProtocol, cause));
        }
        // A caller that is still sending cannot send its next request on this connection.
        let may_keep = self.meta.keep_alive && self.body.is_done() && !self.context.is_draining();
        let (relay, keep_alive) =
            write_head::choose_transfer_mode(&head.framing, self.meta.is_http10, may_keep);
        if head.status != 101 {
            let locations = self.locations(head.status);
            write_head::response(
                out.bytes_mut(),
                &head,
                relay,
                keep_alive,
                self.meta.is_http10,
                locations.as_ref(),
            );
        }
        Ok(ResponsePlan {
            status: head.status,
            upstream_keep_alive: head.keep_alive,
            keep_alive_for: head.keep_alive_for,
            framing: head.framing,
            relay,
            keep_alive,
        })
    }

    /// Passes the answer back, head first, and gives the upstream's connection back where it can be used again.
    pub(super) async fn relay_response(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
        answer: &mut Buffer,
        mut connection: Connection,
        plan: ResponsePlan,
    ) -> Result<(), ExchangeError> {
        let ResponsePlan { framing, relay, upstream_keep_alive, keep_alive_for, .. } = plan;
        let idle = self.service.upstream.timeouts.idle;
        let mut body = Body::new(framing);
        // Nothing is out yet, so that the caller can still be told.
        let is_whole = match relay {
            TransferMode::Passthrough => body.count(answer).map_err(|error| {
                ProxyError::new(
                    ErrorReason::UpstreamProtocol,
                    format!("the upstream's body is malformed: {error}"),
                )
            })?,
            TransferMode::Dechunk | TransferMode::Chunk => false,
        };
        if is_whole {
            // Before the caller has its answer, so that its next request finds the connection.
            if self.body.is_done() && upstream_keep_alive {
                self.endpoint.release(connection, keep_alive_for);
            }
            return relay::write_response_start(io, out, answer, &mut body, self.timer, idle)
                .await
                .map_err(ExchangeError::Abort);
        }
        relay::write_response_start(io, out, answer, &mut body, self.timer, idle)
            .await
            .map_err(ExchangeError::Abort)?;
        let mut upstream = BodyHalf { io: &mut connection.stream, buffer: answer, body: &mut body };
        let mut caller = BodyHalf { io, buffer, body: &mut self.body };
        let sent = relay::relay_bodies(&mut caller, &mut upstream, relay, self.timer, idle)
            .await
            .map_err(ExchangeError::Abort)?;
        if sent && upstream_keep_alive && answer.is_empty() {
            self.endpoint.release(connection, keep_alive_for);
        }
        Ok(())
    }

    /// After the switch to WebSocket: bytes, both ways, until either side ends.
    pub(super) async fn tunnel(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
        answer: &mut Buffer,
        mut connection: Connection,
    ) -> Result<Disposition, ExchangeError> {
        let timeouts = &self.service.upstream.timeouts;
        out.bytes_mut().extend_from_slice(answer.filled());
        relay::write(io, out.filled(), self.timer, timeouts.idle).await.map_err(ExchangeError::Abort)?;
        tunnel::run(io, &mut connection.stream, buffer.filled(), timeouts.tunnel_idle)
            .await
            .map_err(|error| ExchangeError::Abort(RelayError::Downstream(error)))?;
        Ok(Disposition::Close)
    }
}

/// How an answer is passed back.
pub(super) struct ResponsePlan {
    pub(super) status: u16,
    framing: Framing,
    relay: TransferMode,
    pub(super) keep_alive: bool,
    upstream_keep_alive: bool,
    /// What the upstream said of how long it keeps the connection.
    keep_alive_for: Option<Duration>,
}
