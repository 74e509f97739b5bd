//! Why a service that a request leads to does not run.

use crate::config::InactiveReason;
use crate::proxy::error::ErrorReason;
use crate::runtime::snapshot::Snapshot;

/// The service at an index that has none that runs, and why it does not.
pub(super) fn why(snapshot: &Snapshot, index: usize) -> (&str, ErrorReason) {
    snapshot.inactive_at(index).map_or(("", ErrorReason::UnknownService), |service| {
        let reason = match service.reason {
            InactiveReason::Misconfigured => ErrorReason::Misconfigured,
            InactiveReason::AwaitsStore => ErrorReason::CredentialUnavailable,
            InactiveReason::Disabled => ErrorReason::Disabled,
        };
        (service.name.as_str(), reason)
    })
}
