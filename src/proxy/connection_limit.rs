//! The limit on downstream connections (`max_connections`), and the response to a connection above it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::wire::relay::Io;

/// The time limit for writing the response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// Counts open connections.
#[derive(Default)]
pub(crate) struct ConnectionLimit {
    open: AtomicUsize,
    /// Whether it was logged that the limit is reached.
    is_full: AtomicBool,
}

/// The permit of one connection, which counts as open until the permit is dropped.
pub(crate) struct ConnectionPermit<'c>(&'c ConnectionLimit);

impl ConnectionLimit {
    /// Returns a permit if fewer than `max` connections are open.
    pub(crate) fn try_acquire(&self, max: usize) -> Option<ConnectionPermit<'_>> {
        let permit = ConnectionPermit(self);
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        if before < max {
            // Logged at half of the limit only, so that a count around the limit does not fill the log.
            if before <= max / 2 && self.is_full.swap(false, Ordering::Relaxed) {
                tracing::info!("below max_connections again");
            }
            return Some(permit);
        }
        if !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(connections.limit = max, "max_connections reached: new connections are rejected");
        }
        None
    }
}

impl Drop for ConnectionPermit<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends the response for a connection above the limit, without reading a request, and closes.
pub(crate) async fn refuse(io: &mut impl Io) {
    let failure = ProxyError::new(ErrorReason::Overloaded, "max_connections");
    let failure = ProxyError { retry_after: Some(1), ..failure };
    let mut response = Vec::new();
    failure.write(&mut response, false, false, None);
    let _ = timeout(WRITE_TIMEOUT, async {
        io.write_all(&response).await?;
        io.shutdown().await
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_permit_admits_another_connection() {
        let limit = ConnectionLimit::default();
        let (one, _two) = (limit.try_acquire(2).unwrap(), limit.try_acquire(2).unwrap());
        assert!(limit.try_acquire(2).is_none() && limit.try_acquire(2).is_none());
        drop(one);
        assert!(limit.try_acquire(2).is_some());
    }
}
