//! The series of one service's token, and of a token that services share.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::Histogram;

use super::families::Families;
use super::per_service::Owner;
use super::result_label::result;

/// One service's token series.
#[derive(Clone)]
pub struct TokenMetrics {
    pub(super) owner: Arc<Owner>,
    pub(super) families: Arc<Families>,
    pub(super) request_duration: Histogram,
}

impl TokenMetrics {
    /// Counts a token request that has ended; `reason` is empty for a success.
    pub fn request_finished(&self, reason: &str, took: Duration) {
        let labels = [result(reason.is_empty()), reason];
        if let Some(series) = self.families.token_requests_total.series(&self.owner, &labels) {
            series.inc();
            self.request_duration.observe(took.as_secs_f64());
        }
    }

    /// Counts tokens of callers that are no longer held.
    pub fn caller_tokens_ended(&self, reason: CallerTokenEnd, count: u64) {
        if let Some(series) = self.families.caller_tokens_ended_total.series(&self.owner, &[reason.as_str()])
        {
            series.inc_by(count);
        }
    }

    /// Counts a session that was ended, or could not be.
    pub fn logged_out(&self, success: bool) {
        if let Some(series) = self.families.logouts_total.series(&self.owner, &[result(success)]) {
            series.inc();
        }
    }

    /// Counts a write of tokens to `state.dir`.
    pub fn state_written(&self, success: bool) {
        if let Some(series) = self.families.state_writes_total.series(&self.owner, &[result(success)]) {
            series.inc();
        }
    }

    /// Makes the series of a token of a fleet: the increase of a series that appears with its first event misses that event.
    pub fn shared_token_wanted(&self) {
        for by in ["self", "peer", "alone"] {
            self.families.shared_tokens_total.series(&self.owner, &[by]);
        }
        self.families.shared_lock_waits_total.series(&self.owner, &[]);
        self.families.shared_writes_lost_total.series(&self.owner, &[]);
    }

    /// Counts a token of a fleet, by who requested it.
    pub fn shared_token_obtained(&self, by: &str) {
        if let Some(series) = self.families.shared_tokens_total.series(&self.owner, &[by]) {
            series.inc();
        }
    }

    /// Counts a wait for another process of the fleet.
    pub fn shared_lock_wait(&self) {
        if let Some(series) = self.families.shared_lock_waits_total.series(&self.owner, &[]) {
            series.inc();
        }
    }

    /// Counts a token that another process was faster with.
    pub fn shared_write_lost(&self) {
        if let Some(series) = self.families.shared_writes_lost_total.series(&self.owner, &[]) {
            series.inc();
        }
    }
}

/// Why a token of a caller is no longer held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerTokenEnd {
    /// It has expired, or the token of the caller has.
    Expired,
    /// A token of another caller needed its place.
    Evicted,
    /// The token endpoint does not accept the token of the caller any more.
    Refused,
}

impl CallerTokenEnd {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Expired, Self::Evicted, Self::Refused];

    /// The value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Evicted => "evicted",
            Self::Refused => "refused",
        }
    }
}

/// The token series of the services that share one token; a reload may change which these are.
#[derive(Clone, Default)]
pub struct SharedTokenMetrics(Arc<Mutex<Vec<TokenMetrics>>>);

impl SharedTokenMetrics {
    /// Replaces the services that share the token.
    pub fn set(&self, services: Vec<TokenMetrics>) {
        *self.0.lock() = services;
    }

    /// Counts a token request that has ended; `reason` is empty for a success.
    pub fn request_finished(&self, reason: &str, took: Duration) {
        self.0.lock().iter().for_each(|service| service.request_finished(reason, took));
    }

    /// Counts tokens of callers that are no longer held. If there are none, there is a series all the same.
    pub fn caller_tokens_ended(&self, reason: CallerTokenEnd, count: u64) {
        self.0.lock().iter().for_each(|service| service.caller_tokens_ended(reason, count));
    }

    /// Makes the series of a token of a fleet.
    pub fn shared_token_wanted(&self) {
        self.0.lock().iter().for_each(TokenMetrics::shared_token_wanted);
    }

    /// Counts a token of a fleet, by who requested it.
    pub fn shared_token_obtained(&self, by: &str) {
        self.0.lock().iter().for_each(|service| service.shared_token_obtained(by));
    }

    /// Counts a wait for another process of the fleet.
    pub fn shared_lock_wait(&self) {
        self.0.lock().iter().for_each(TokenMetrics::shared_lock_wait);
    }

    /// Counts a token that another process was faster with.
    pub fn shared_write_lost(&self) {
        self.0.lock().iter().for_each(TokenMetrics::shared_write_lost);
    }

    /// Counts a session that was ended, or could not be.
    pub fn logged_out(&self, success: bool) {
        self.0.lock().iter().for_each(|service| service.logged_out(success));
    }

    /// Counts a write of tokens to `state.dir`.
    pub fn state_written(&self, success: bool) {
        self.0.lock().iter().for_each(|service| service.state_written(success));
    }
}

impl From<Vec<TokenMetrics>> for SharedTokenMetrics {
    fn from(services: Vec<TokenMetrics>) -> Self {
        Self(Arc::new(Mutex::new(services)))
    }
}
