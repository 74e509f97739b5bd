//! How many connections callers have, and what becomes of one too many.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::proxy::error::{Failure, Reason};
use crate::proxy::wire::relay::Io;

/// A caller takes a refusal within this time or not at all.
const REFUSAL: Duration = Duration::from_secs(1);

/// Connections that are open.
#[derive(Default)]
pub(crate) struct Crowd {
    open: AtomicUsize,
    /// The log has been told.
    is_full: AtomicBool,
}

/// One of them; counted until it is dropped.
pub(crate) struct Place<'c>(&'c Crowd);

impl Crowd {
    /// A place among at most so many.
    pub(crate) fn enter(&self, most: usize) -> Option<Place<'_>> {
        let place = Place(self);
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        if before < most {
            // Not at once, or a crowd that comes and goes at the limit would fill the log.
            if before <= most / 2 && self.is_full.swap(false, Ordering::Relaxed) {
                tracing::info!("there is room for connections again");
            }
            return Some(place);
        }
        if !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                connections.most = most,
                "max_connections is reached: new connections are refused"
            );
        }
        None
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells the caller, without having read a request, and closes.
pub(crate) async fn refuse(io: &mut impl Io) {
    let failure = Failure::new(Reason::Overloaded, "max_connections");
    let failure = Failure { retry_after: Some(1), ..failure };
    let mut answer = Vec::new();
    failure.write(&mut answer, false, false);
    let _ = timeout(REFUSAL, async {
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
        let crowd = Crowd::default();
        let (one, _two) = (crowd.enter(2).unwrap(), crowd.enter(2).unwrap());
        assert!(crowd.enter(2).is_none() && crowd.enter(2).is_none());
        drop(one);
        assert!(crowd.enter(2).is_some());
    }
}
