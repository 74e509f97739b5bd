//! The response to a request that is not forwarded.

use std::time::Duration;

use super::outcome::Disposition;
use super::rejection::{Rejection, Reply};
use crate::net::buffer::Buffer;
use crate::proxy::access_log;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::request_id::RequestId;
use crate::proxy::session::ConnectionContext;
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::Io;
use crate::proxy::wire::timer::ReusableTimer;

/// The limit on the services that a 404 lists.
const MAX_LISTED_SERVICES: usize = 100;

/// The time limit for writing the response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The methods that Sidekey forwards, whatever the upstream makes of them.
const OPTIONS_FIELDS: &str = "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\nContent-Length: 0\r\n";

/// Sends the response, counts it, and writes the access log.
pub(crate) async fn refuse(
    context: &ConnectionContext,
    io: &mut impl Io,
    rejection: Rejection<'_>,
    timer: &mut ReusableTimer,
) -> Disposition {
    let Rejection { reply, service, method, logged, is_head, keep_alive, caller } = rejection;
    let error = match &reply {
        Reply::Error(error) => Some(error),
        Reply::Options => None,
    };
    let (path, id) = logged.map_or((None, None), |logged| (logged.path, logged.id));
    let id = id.or_else(|| error.map(|_| RequestId::generate()));
    let status = error.map_or(200, ProxyError::status);
    context.plane.metrics.answered(service, method, status);
    if let Some(error) = error {
        let reason = error.reason.as_str();
        context.plane.metrics.error(service, reason);
        tracing::debug!(
            sidekey.service = service,
            sidekey.error = reason,
            request.id = id.as_ref().map(RequestId::as_str),
            "request refused: {}",
            error.cause
        );
    }
    access_log::write(&access_log::Entry {
        service,
        method,
        // The path stays empty if no service matches, because such a path may hold anything.
        path: path.or_else(|| context.snapshot().access_log.then(String::new)).as_deref(),
        status: Some(status),
        took: Duration::ZERO,
        request_id: id.as_ref(),
        failure: error,
        caller,
    });
    let keep_alive = keep_alive && !context.is_draining();
    let mut out = Buffer::acquire();
    match &reply {
        Reply::Error(error) => {
            let services = listed_services(context, error);
            error.write_listing(
                out.bytes_mut(),
                is_head,
                keep_alive,
                id.as_ref().map(RequestId::as_str),
                &services,
            );
        }
        Reply::Options => {
            let connection = if keep_alive { "" } else { "Connection: close\r\n" };
            let head = format!("HTTP/1.1 200 OK\r\n{OPTIONS_FIELDS}{connection}\r\n");
            out.bytes_mut().extend_from_slice(head.as_bytes());
        }
    }
    match relay::write(io, out.filled(), timer, WRITE_TIMEOUT).await {
        Err(_) => Disposition::Close,
        Ok(()) if keep_alive => Disposition::KeepAlive,
        Ok(()) => Disposition::LingeringClose,
    }
}

/// The services that the response lists: a caller on this machine sees which ones there are, unless callers differ in what they may use.
fn listed_services<'c>(context: &'c ConnectionContext, error: &ProxyError) -> Vec<&'c str> {
    let lists = context.peer.is_local() && context.snapshot().callers.is_none();
    if error.reason != ErrorReason::UnknownService || !lists {
        return Vec::new();
    }
    let services = context.snapshot().services.iter().take(MAX_LISTED_SERVICES);
    services.map(|service| service.name.as_str()).collect()
}
