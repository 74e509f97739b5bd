//! The answer to a request that is led nowhere.

use std::time::Duration;

use super::exchange::After;
use super::prepare::Refusal;
use crate::net::buffer::Buffer;
use crate::proxy::Proxy;
use crate::proxy::access_log;
use crate::proxy::error::Reason;
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::Io;
use crate::proxy::wire::timer::Patience;

/// So many services are named to a caller that asks for one that is not there.
const LISTED: usize = 100;

/// A caller takes a refusal within this time or not at all.
const REFUSAL: Duration = Duration::from_secs(30);

/// Answers, counts, and says so in the access log.
pub(crate) async fn refuse(
    proxy: &Proxy,
    io: &mut impl Io,
    refusal: Refusal<'_>,
    patience: &mut Patience,
) -> After {
    let Refusal { failure, service, method, path, is_head, keep_alive } = refusal;
    let (status, reason) = (failure.reason.status(), failure.reason.as_str());
    proxy.plane.metrics.error(service, reason);
    proxy.plane.metrics.answered(service, method, status);
    tracing::debug!(service.name = service, sidekey.error = reason, "request refused: {}", failure.cause);
    let services: Vec<&str> = if failure.reason == Reason::UnknownService && proxy.caller.is_local() {
        proxy.snapshot().services.iter().take(LISTED).map(|one| one.name.as_str()).collect()
    } else {
        Vec::new()
    };
    access_log::write(&access_log::Entry {
        service,
        method,
        // Without a service there is no path: it may be anything.
        path: path.or_else(|| proxy.snapshot().access_log.then(String::new)).as_deref(),
        status: Some(status),
        took: Duration::ZERO,
        failure: Some(&failure),
    });
    let keep_alive = keep_alive && !proxy.is_draining();
    let mut out = Buffer::take();
    failure.write_listing(out.bytes_mut(), is_head, keep_alive, &services);
    match relay::write(io, out.filled(), patience, REFUSAL).await {
        Err(_) => After::Close,
        Ok(()) if keep_alive => After::KeepAlive,
        Ok(()) => After::Linger,
    }
}
