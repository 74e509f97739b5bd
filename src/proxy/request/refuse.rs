//! The answer to a request that is led nowhere.

use std::time::Duration;

use super::exchange::Disposition;
use super::prepare::Rejection;
use crate::net::buffer::Buffer;
use crate::proxy::ConnectionContext;
use crate::proxy::access_log;
use crate::proxy::error::ErrorReason;
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::Io;
use crate::proxy::wire::timer::ReusableTimer;

/// So many services are named to a caller that asks for one that is not there.
const LISTED: usize = 100;

/// A caller takes a rejection within this time or not at all.
const REFUSAL: Duration = Duration::from_secs(30);

/// Answers, counts, and says so in the access log.
pub(crate) async fn refuse(
    context: &ConnectionContext,
    io: &mut impl Io,
    rejection: Rejection<'_>,
    timer: &mut ReusableTimer,
) -> Disposition {
    let Rejection { failure, service, method, path, is_head, keep_alive } = rejection;
    let (status, reason) = (failure.reason.status(), failure.reason.as_str());
    context.plane.metrics.error(service, reason);
    context.plane.metrics.answered(service, method, status);
    tracing::debug!(service.name = service, sidekey.error = reason, "request refused: {}", failure.cause);
    let services: Vec<&str> = if failure.reason == ErrorReason::UnknownService && context.peer.is_local() {
        context.snapshot().services.iter().take(LISTED).map(|one| one.name.as_str()).collect()
    } else {
        Vec::new()
    };
    access_log::write(&access_log::Entry {
        service,
        method,
        // Without a service there is no path: it may be anything.
        path: path.or_else(|| context.snapshot().access_log.then(String::new)).as_deref(),
        status: Some(status),
        took: Duration::ZERO,
        failure: Some(&failure),
    });
    let keep_alive = keep_alive && !context.is_draining();
    let mut out = Buffer::acquire();
    failure.write_listing(out.bytes_mut(), is_head, keep_alive, &services);
    match relay::write(io, out.filled(), timer, REFUSAL).await {
        Err(_) => Disposition::Close,
        Ok(()) if keep_alive => Disposition::KeepAlive,
        Ok(()) => Disposition::LingeringClose,
    }
}
