//! The series of one service's token, and who shares one.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::{GaugeVec, Histogram, IntCounterVec, IntGauge};

/// One service's token series.
#[derive(Clone)]
pub struct TokenMetrics {
    pub(super) name: String,
    pub(super) fetch_total: IntCounterVec,
    pub(super) state_writes: IntCounterVec,
    pub(super) fetch_duration: Histogram,
    pub(super) consecutive_failures: IntGauge,
    pub(super) expiry: GaugeVec,
    pub(super) last_success: GaugeVec,
    pub(super) next_refresh: GaugeVec,
}

impl TokenMetrics {
    /// One token request ended; `reason` is empty for a success.
    pub fn fetched(&self, reason: &str, took: Duration) {
        let result = if reason.is_empty() { "success" } else { "failure" };
        self.fetch_total.with_label_values(&[self.name.as_str(), result, reason]).inc();
        self.fetch_duration.observe(took.as_secs_f64());
    }

    /// Tokens were written to `state.dir`, or could not be.
    pub fn state_written(&self, success: bool) {
        let result = if success { "success" } else { "failure" };
        self.state_writes.with_label_values(&[self.name.as_str(), result]).inc();
    }

    /// The token's state, as Unix times; set when `/metrics` is read. There is no series for what has not happened yet.
    pub fn state(
        &self,
        failures: u32,
        expiry: Option<f64>,
        last_success: Option<f64>,
        next_refresh: Option<f64>,
    ) {
        self.consecutive_failures.set(i64::from(failures));
        for (gauge, value) in
            [(&self.expiry, expiry), (&self.last_success, last_success), (&self.next_refresh, next_refresh)]
        {
            let labels = [self.name.as_str()];
            match value {
                Some(value) => gauge.with_label_values(&labels).set(value),
                // A 0 would read as 1970: an alert on it would fire before the first token.
                None => drop(gauge.remove_label_values(&labels)),
            }
        }
    }
}

/// The services that share one token; a reload may change which.
#[derive(Clone, Default)]
pub struct TokenUsers(Arc<Mutex<Vec<TokenMetrics>>>);

impl TokenUsers {
    /// These, from now on.
    pub fn set(&self, users: Vec<TokenMetrics>) {
        *self.0.lock() = users;
    }

    /// One token request ended; `reason` is empty for a success.
    pub fn fetched(&self, reason: &str, took: Duration) {
        self.0.lock().iter().for_each(|user| user.fetched(reason, took));
    }
}

impl TokenUsers {
    /// Tokens were written to `state.dir`, or not.
    pub fn state_written(&self, success: bool) {
        self.0.lock().iter().for_each(|user| user.state_written(success));
    }
}

impl From<Vec<TokenMetrics>> for TokenUsers {
    fn from(users: Vec<TokenMetrics>) -> Self {
        Self(Arc::new(Mutex::new(users)))
    }
}
