//! How many connections callers have, and what becomes of one too many.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::wire::relay::Io;

/// A caller takes a rejection within this time or not at all.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections that are open.
#[derive(Default)]
pub(crate) struct ConnectionLimit {
    open: AtomicUsize,
    /// The log has been told.
    is_full: AtomicBool,
}

/// One of them; counted until it is dropped.
pub(crate) struct ConnectionPermit<'c>(&'c ConnectionLimit);

impl ConnectionLimit {
    /// A place among at most so many.
    pub(crate) fn try_acquire(&self, most: usize) -> Option<ConnectionPermit<'_>> {
        let permit = ConnectionPermit(self);
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        if before < most {
            // Not at once, or a connection_limit that comes and goes at the limit would fill the log.
            if before <= most / 2 && self.is_full.swap(false, Ordering::Relaxed) {
                tracing::info!("below max_connections again");
            }
            return Some(permit);
        }
        if !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(connections.limit = most, "max_connections reached: new connections are rejected");
        }
        None
    }
}

impl Drop for ConnectionPermit<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells the caller, without having read a request, and closes.
pub(crate) async fn refuse(io: &mut impl Io) {
    let failure = ProxyError::new(ErrorReason::Overloaded, "max_connections");
    let failure = ProxyError { retry_after: Some(1), ..failure };
    let mut answer = Vec::new();
    failure.write(&mut answer, false, false);
    let _ = timeout(WRITE_TIMEOUT, async {
        io.write_all(&answer).await?;
        io.shutdown().await
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back() {
        let connection_limit = ConnectionLimit::default();
        let (one, _two) =
            (connection_limit.try_acquire(2).unwrap(), connection_limit.try_acquire(2).unwrap());
        assert!(connection_limit.try_acquire(2).is_none() && connection_limit.try_acquire(2).is_none());
        drop(one);
        assert!(connection_limit.try_acquire(2).is_some());
    }
}
