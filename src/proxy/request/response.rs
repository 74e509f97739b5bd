//! The response: its head decides how it is passed back to the caller.

use std::time::Duration;

use http::header::SEC_WEBSOCKET_ACCEPT;

use super::outcome::{Disposition, ExchangeError};
use super::retry::UNAUTHORIZED;
use super::state::Request;
use crate::credential::UpstreamResponse;
use crate::net::buffer::Buffer;
use crate::oauth2::caller_tokens::Subject;
use crate::proto::grpc_web::GrpcWebTrailers;
use crate::proto::via;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::wire::body::Body;
use crate::proxy::wire::body_guard::BodyGuard;
use crate::proxy::wire::framing::{Framing, FramingError};
use crate::proxy::wire::leak_guard::LeakGuard;
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::{HeaderBuffer, ResponseHead};
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::{BodyHalf, Io, RelayError};
use crate::proxy::wire::tunnel;
use crate::proxy::wire::write_head;
use crate::proxy::wire::write_head::TransferMode;
use crate::upstream::Connection;

impl<'p> Request<'p> {
    /// Passes the head of the response to the signer, unless that was done before.
    fn observe(&self, status: u16, fields: &[httparse::Header<'_>]) {
        if !self.is_observed {
            let (origin, is_retry) = (&*self.endpoint.origin, self.rejected.is_some());
            let response = UpstreamResponse { origin, status, fields, is_retry, can_retry: false };
            self.service.credential.signer().observe(self.used, &response);
        }
    }

    /// The limit on the fields of the upstream's head.
    pub(super) fn max_response_fields(&self) -> usize {
        self.service.upstream.max_response_head.fields
    }

    /// The value that is added to the response's `Via`.
    pub(super) fn response_via(&self, head: &ResponseHead<'_, '_>) -> Option<&'static str> {
        self.service.via.then(|| via::value(head.is_http10, self.is_upstream_http2))
    }

    /// Decides how the response is passed back, and writes its head to `out`.
    pub(super) fn plan_response(
        &self,
        bytes: &[u8],
        out: &mut Buffer,
    ) -> Result<ResponsePlan<'p>, ProxyError> {
        let mut header_buffer = HeaderBuffer::new();
        let head =
            parse_head::response(bytes, &mut header_buffer, self.meta.is_head, self.max_response_fields())?;
        let is_unauthenticated = self.meta.is_grpc && head.is_grpc_unauthenticated;
        if is_unauthenticated && !self.is_grpc_unauthenticated {
            self.service.metrics.grpc_unauthenticated();
        }
        let is_unauthenticated =
            is_unauthenticated || self.is_grpc_unauthenticated || self.is_rejected_by_rule;
        self.observe(if is_unauthenticated { UNAUTHORIZED } else { head.status }, head.fields);
        out.clear();
        let urls = self.response_urls();
        if head.status == 101 {
            if !(self.meta.is_websocket && head.is_websocket) {
                return Err(ProxyError::new(
                    ErrorReason::UpstreamProtocol,
                    "the upstream switched to a protocol that was not requested",
                ));
            }
            if let Some(expected) = &self.expected_ws_accept {
                let is_expected = |field: &httparse::Header<'_>| {
                    field.name.eq_ignore_ascii_case(SEC_WEBSOCKET_ACCEPT.as_str())
                        && field.value.trim_ascii() == expected.as_bytes()
                };
                if !head.fields.iter().any(is_expected) {
                    let cause = "the upstream's Sec-WebSocket-Accept does not match the key that was sent";
                    return Err(ProxyError::new(ErrorReason::UpstreamProtocol, cause));
                }
            }
            write_head::informational(out.bytes_mut(), &head, &urls, self.response_via(&head));
        } else if self.expected_ws_accept.is_some() && (200..300).contains(&head.status) {
            // Any 2xx would open the WebSocket in HTTP/2 (RFC 8441 §5).
            let cause = format!("the upstream answered {} and did not switch to WebSocket", head.status);
            return Err(ProxyError::new(ErrorReason::UpstreamProtocol, cause));
        }
        // A caller that is still sending cannot send its next request on this connection.
        let may_keep = self.meta.keep_alive && self.body.is_done() && !self.context.is_draining();
        let (transfer_mode, keep_alive) =
            write_head::choose_transfer_mode(&head.framing, self.meta.is_http10, may_keep);
        if head.status != 101 {
            write_head::response(
                out.bytes_mut(),
                &head,
                transfer_mode,
                keep_alive,
                self.meta.is_http10,
                &urls,
                self.response_via(&head),
            );
        }
        self.record_stripped(&urls);
        let subject = self.subject.as_deref();
        if let Some(guard) = LeakGuard::of(self.service, subject, &self.sent) {
            guard.mask(out.bytes_mut());
        }
        let body_guard = LeakGuard::of_bodies(self.service).and_then(|guard| {
            let mut echoes = self.service.credential.signer().echoes();
            echoes.extend(subject.and_then(Subject::echoes));
            echoes.extend(self.sent.iter().cloned());
            BodyGuard::of(guard, echoes, head.fields, &head.framing)
        });
        let grpc_web = if self.meta.is_grpc { GrpcWebTrailers::of(head.fields) } else { None };
        Ok(ResponsePlan {
            status: head.status,
            upstream_keep_alive: head.keep_alive,
            keep_alive_for: head.keep_alive_for,
            framing: head.framing,
            transfer_mode,
            keep_alive,
            grpc_web,
            body_guard,
        })
    }

    /// Passes the response back, and releases the upstream's connection to the pool if it can be reused.
    pub(super) async fn relay_response(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
        response: &mut Buffer,
        mut connection: Connection,
        plan: ResponsePlan<'_>,
    ) -> Result<(), ExchangeError> {
        let ResponsePlan {
            framing,
            transfer_mode,
            upstream_keep_alive,
            keep_alive_for,
            grpc_web,
            body_guard,
            ..
        } = plan;
        let idle = self.service.upstream.timeouts.idle;
        let mut body =
            Body::of_response(framing, LeakGuard::of(self.service, self.subject.as_deref(), &self.sent))
                .read_by(grpc_web);
        // Nothing was sent yet, so that Sidekey can still respond with an error.
        let is_complete = match transfer_mode {
            _ if body_guard.is_some() => false,
            TransferMode::Passthrough => body.count(response).map_err(FramingError::of_upstream)?,
            TransferMode::Dechunk | TransferMode::Chunk => false,
        };
        if is_complete {
            // Before the caller has the response, so that its next request can reuse the connection.
            if self.body.is_done() && upstream_keep_alive {
                self.endpoint.release(connection, keep_alive_for);
            }
            if self.has_unauthenticated_trailers(&body) {
                // Boxed: the future of every request reserves space for what it awaits.
                Box::pin(self.refresh_after_trailers()).await;
            }
            return relay::write_response_start(io, out, response, &mut body, self.timer, idle)
                .await
                .map_err(ExchangeError::Abort);
        }
        relay::write_response_start(io, out, response, &mut body, self.timer, idle)
            .await
            .map_err(ExchangeError::Abort)?;
        let mut upstream = BodyHalf { io: &mut connection.stream, buffer: response, body: &mut body };
        let mut caller = BodyHalf { io, buffer, body: &mut self.body };
        let sent =
            relay::relay_bodies(&mut caller, &mut upstream, transfer_mode, body_guard, self.timer, idle)
                .await
                .map_err(ExchangeError::Abort)?;
        if self.has_unauthenticated_trailers(&body) {
            Box::pin(self.refresh_after_trailers()).await;
        }
        if sent && upstream_keep_alive && response.is_empty() {
            self.endpoint.release(connection, keep_alive_for);
        }
        Ok(())
    }

    /// Whether the trailers of a gRPC call say that the credential was not accepted. The call was passed on; the
    /// next one needs another credential.
    fn has_unauthenticated_trailers(&self, body: &Body<'_>) -> bool {
        self.meta.is_grpc && body.is_grpc_unauthenticated() && !self.is_grpc_unauthenticated
    }

    /// Moves bytes in both directions after the switch to WebSocket, until both sides end.
    pub(super) async fn tunnel(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
        response: &mut Buffer,
        mut connection: Connection,
    ) -> Result<Disposition, ExchangeError> {
        let timeouts = &self.service.upstream.timeouts;
        out.bytes_mut().extend_from_slice(response.filled());
        relay::write(io, out.filled(), self.timer, timeouts.idle).await.map_err(ExchangeError::Abort)?;
        tunnel::run(io, &mut connection.stream, buffer.filled(), timeouts.tunnel_idle)
            .await
            .map_err(|error| ExchangeError::Abort(RelayError::Downstream(error)))?;
        Ok(Disposition::Close)
    }
}

/// How a response is passed back.
pub(super) struct ResponsePlan<'p> {
    pub(super) status: u16,
    framing: Framing,
    transfer_mode: TransferMode,
    pub(super) keep_alive: bool,
    upstream_keep_alive: bool,
    /// How long the upstream keeps the connection open, by its `Keep-Alive` field.
    keep_alive_for: Option<Duration>,
    /// Reads the body, if it is gRPC-Web.
    grpc_web: Option<Box<GrpcWebTrailers>>,
    /// Searches the body, if the service is configured so.
    body_guard: Option<Box<BodyGuard<'p>>>,
}
