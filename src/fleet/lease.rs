//! A lock that is renewed while its holder works.

use std::pin::pin;
use std::time::Duration;

use super::names::Names;
use super::store::SharedStore;

/// Lease if no lifetime is known yet.
const UNKNOWN_LEASE: Duration = Duration::from_secs(3);
/// Shortest and longest lease.
const LEASE_LIMITS: (Duration, Duration) = (Duration::from_millis(1500), Duration::from_secs(10));

/// Longest time for which a dead holder's unfinished write is waited for.
const MAX_SETTLE_TIME: Duration = Duration::from_secs(3);

/// How soon a renewal is tried again that failed, and a write that could not be made.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// How long a lock lasts without a renewal: half of the lifetime of the value, within limits, because nobody can request
/// before the lock of a holder that died has ended.
pub(super) fn lease(lifetime: Option<Duration>) -> Duration {
    lifetime.map_or(UNKNOWN_LEASE, |lifetime| (lifetime / 2).clamp(LEASE_LIMITS.0, LEASE_LIMITS.1))
}

/// For how long the store must have answered before a refresh token is spent that somebody else may be spending. Whoever lives
/// has written by then what it was issued: writes and renewals that failed are tried again every [`RETRY_INTERVAL`].
pub(super) fn settle_time(lease: Duration) -> Duration {
    lease.min(MAX_SETTLE_TIME)
}

/// Longest time between two renewals: shorter than [`settle_time`], so that a store that has lost a lock gets it back before a
/// refresh token is spent a second time.
const MAX_RENEWAL_INTERVAL: Duration = Duration::from_secs(1);

/// A lock that is renewed.
pub(super) struct Renewal<'a> {
    pub(super) names: &'a Names,
    pub(super) nonce: &'a str,
    pub(super) lease: Duration,
    /// Whether a refresh token is being spent.
    pub(super) spends: bool,
}

/// Does `work` while the lock is renewed at a third of its lease. A lock that is lost ends no work: a request cannot be taken
/// back, and the write decides what counts.
pub(super) async fn while_renewing<T>(
    store: &dyn SharedStore,
    Renewal { names, nonce, lease, spends }: Renewal<'_>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    let third = (lease / 3).min(MAX_RENEWAL_INTERVAL);
    let mut wait = third;
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(wait) => {}
        }
        let renewed = tokio::select! {
            done = &mut work => return done,
            renewed = store.renew(names, nonce, lease, spends) => renewed,
        };
        wait = if renewed.is_ok() { third } else { third.min(RETRY_INTERVAL) };
    }
}
