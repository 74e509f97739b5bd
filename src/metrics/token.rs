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

    /// Counts a write of tokens to `state.dir`.
    pub fn state_written(&self, success: bool) {
        if let Some(series) = self.families.state_writes_total.series(&self.owner, &[result(success)]) {
            series.inc();
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
