//! How the store is: for the log, for the metrics, and for the page of every value that is shared.

use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::store::StoreError;
use crate::metrics::FleetMetrics;
use crate::refresh::{Sharing, SharingFacts};

/// How the store is, for the log, the metrics, and the page of every value that is shared.
pub(super) struct Health {
    metrics: FleetMetrics,
    state: Mutex<HealthState>,
    /// Wakes the subscriber when the store cannot be used any more.
    went_down: Notify,
}

#[derive(Default)]
struct HealthState {
    /// `None`: not known yet.
    is_up: Option<bool>,
    down_since: Option<SystemTime>,
    members: Option<u64>,
    has_warned_of_policy: bool,
    shown: Vec<Arc<Sharing>>,
}

impl Health {
    /// Nothing is known yet.
    pub(super) fn new(metrics: FleetMetrics) -> Self {
        Self { metrics, state: Mutex::default(), went_down: Notify::new() }
    }

    /// What is shown of one more value.
    pub(super) fn shown(&self, record: &str) -> Arc<Sharing> {
        let sharing = Arc::new(Sharing::default());
        let mut state = self.state.lock();
        let (members, down_since) = (state.members, state.down_since);
        sharing.update(|facts| {
            *facts =
                SharingFacts { members, down_since, record: record.to_owned(), ..SharingFacts::default() };
        });
        state.shown.retain(|shown| Arc::strong_count(shown) > 1);
        state.shown.push(sharing.clone());
        sharing
    }

    /// The store can be used.
    pub(super) fn up(&self) {
        let mut state = self.state.lock();
        self.metrics.up(true);
        if state.is_up.replace(true) != Some(true) {
            tracing::info!("shared store connected");
        }
        state.down_since = None;
        state.show(|facts| facts.down_since = None);
    }

    /// The store cannot be used.
    pub(super) fn down(&self, error: &StoreError) {
        let mut state = self.state.lock();
        self.metrics.up(false);
        if state.is_up.replace(false) != Some(false) {
            tracing::error!(
                "shared store not available: {error}. Each process requests its own tokens until it is back, and no refresh token \
                 is spent"
            );
            self.went_down.notify_one();
        }
        let since = *state.down_since.get_or_insert_with(SystemTime::now);
        state.show(|facts| {
            facts.down_since.get_or_insert(since);
        });
    }

    /// Waits until the store cannot be used any more.
    pub(super) async fn went_down(&self) {
        self.went_down.notified().await;
    }

    /// Whether the store cannot be used.
    pub(super) fn is_down(&self) -> bool {
        self.state.lock().is_up == Some(false)
    }

    /// The number of processes.
    pub(super) fn members(&self, count: u64) {
        let mut state = self.state.lock();
        self.metrics.members(count);
        state.members = Some(count);
        state.show(|facts| facts.members = Some(count));
    }

    /// The store's rule for a full memory.
    pub(super) fn policy(&self, policy: &str) {
        let mut state = self.state.lock();
        let is_wrong = policy != "noeviction";
        if is_wrong && !state.has_warned_of_policy {
            tracing::warn!(
                "shared store may remove refresh tokens: its `maxmemory-policy` is {policy}. Set it to noeviction, or a full memory may \
                 end logins"
            );
        }
        state.has_warned_of_policy = is_wrong;
    }
}

impl HealthState {
    fn show(&self, change: impl Fn(&mut SharingFacts)) {
        self.shown.iter().for_each(|sharing| sharing.update(&change));
    }
}
