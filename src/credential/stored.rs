//! What signers have in common whose value a refresher replaces.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{CredentialStatus, CredentialVersion, UpstreamResponse, Verdict};
use crate::refresh::{Expiring, RefreshDecision, RefreshReason, Store};

/// As [`Signer::observe`](super::Signer::observe): a 401 renews the value, once for a request.
pub(super) fn observe(response: &UpstreamResponse<'_>) -> Verdict {
    if response.status == 401 && !response.is_retry { Verdict::Refresh } else { Verdict::Pass }
}

/// As [`Signer::refreshed`](super::Signer::refreshed).
pub(super) fn refreshed<T: Expiring>(
    store: &Store<T>,
    used: CredentialVersion,
    limit: Duration,
) -> BoxFuture<'_, bool> {
    // Requested when the function is called, even if the future is never polled.
    let decision = store.refresh_now(RefreshReason::Rejected(used.number()));
    Box::pin(async move {
        let is_new = match decision {
            RefreshDecision::AlreadyNewer => true,
            RefreshDecision::Pending(attempt) => store.wait_for(attempt, limit).await,
            RefreshDecision::Throttled => false,
        };
        is_new && store.current().is_some()
    })
}

/// As [`Signer::status`](super::Signer::status).
pub(super) fn status<T: Expiring>(store: &Store<T>) -> CredentialStatus {
    CredentialStatus {
        is_ready: store.current().is_some(),
        // Rounded up, so that the next request for a value was made when the caller retries.
        retry_after: store.status().next_attempt_in().as_secs() + 1,
        is_previous_in_use: None,
    }
}
