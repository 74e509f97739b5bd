//! The response to a request that is not forwarded.

use std::time::Duration;

use super::outcome::Disposition;
use super::prepare::Rejection;
use crate::net::buffer::Buffer;
use crate::proxy::access_log;
use crate::proxy::error::ErrorReason;
use crate::proxy::session::ConnectionContext;
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::Io;
use crate::proxy::wire::timer::ReusableTimer;

/// The limit on the services that a 404 lists.
const MAX_LISTED_SERVICES: usize = 100;

/// The time limit for writing the response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends the error as the response, counts it, and writes the access log.
pub(crate) async fn refuse(
    context: &ConnectionContext,
    io: &mut impl Io,
    rejection: Rejection<'_>,
    timer: &mut ReusableTimer,
) -> Disposition {
    let Rejection { error, service, method, path, is_head, keep_alive } = rejection;
    let (status, reason) = (error.reason.status(), error.reason.as_str());
    context.plane.metrics.error(service, reason);
    context.plane.metrics.answered(service, method, status);
    tracing::debug!(sidekey.service = service, sidekey.error = reason, "request refused: {}", error.cause);
    let services: Vec<&str> = if error.reason == ErrorReason::UnknownService && context.peer.is_local() {
        let services = context.snapshot().services.iter().take(MAX_LISTED_SERVICES);
        services.map(|service| service.name.as_str()).collect()
    } else {
        Vec::new()
    };
    access_log::write(&access_log::Entry {
        service,
        method,
        // The path stays empty if no service matches, because such a path may hold anything.
        path: path.or_else(|| context.snapshot().access_log.then(Box::default)).as_deref(),
        status: Some(status),
        took: Duration::ZERO,
        failure: Some(&error),
    });
    let keep_alive = keep_alive && !context.is_draining();
    let mut out = Buffer::acquire();
    error.write_listing(out.bytes_mut(), is_head, keep_alive, &services);
    match relay::write(io, out.filled(), timer, WRITE_TIMEOUT).await {
        Err(_) => Disposition::Close,
        Ok(()) if keep_alive => Disposition::KeepAlive,
        Ok(()) => Disposition::LingeringClose,
    }
}
