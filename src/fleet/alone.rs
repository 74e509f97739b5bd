//! What happens while the store cannot be used: a value without a refresh token is requested by each process for itself. A refresh
//! token is spent by nobody, unless the operator has chosen otherwise.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::known::{Known, Local};
use super::record::{Obtained, Record, millis};
use super::shared::{Call, Shared, Taken, local_error, random_name};
use super::store::StoreError;
use crate::refresh::{SourceError, SourceErrorKind};

/// Longest wait before a request that all processes may make at the same time, with and without a value at hand.
const MAX_SPREAD: (Duration, Duration) = (Duration::from_secs(10), Duration::from_millis(250));

impl Shared {
    /// Obtains the value without the store.
    pub(super) async fn without_store(
        self: &Arc<Self>,
        local: &mut Local,
        call: &Call<'_>,
        error: &StoreError,
    ) -> Result<Taken, SourceError> {
        self.mark_down(error);
        if self.rules.rotates && !self.spends_alone {
            let message =
                format!("the shared store cannot be used, so that no refresh token may be spent: {error}");
            return Err(SourceError::new(SourceErrorKind::Local, message));
        }
        tokio::time::sleep(spread(local.known.as_ref())).await;
        // Only a refresh token that nobody else spends: another value is requested as if it were the first.
        let known = local.known.as_ref().filter(|_| self.rules.rotates);
        let current = known.map(|known| known.record.content.clone());
        let request = call.requester.request(current.as_ref().map(|content| content.as_slice()));
        let began = Instant::now();
        let Obtained { content, expiry, failure } = request.await?;
        let last = local.known.as_ref().map_or(0, |known| known.record.generation);
        let record = Record {
            generation: last + u64::from(self.rules.rotates),
            write: random_name(),
            by: self.process.to_string(),
            ends: None,
            lifetime: expiry.map_or(0, |expiry| millis(expiry.lifetime())),
            took: millis(began.elapsed()),
            forced: None,
            content,
        };
        let known = Known { record, expiry, is_alone: true };
        let taken = self.taken(&known);
        local.known = Some(known);
        local.is_unwritten = self.rules.rotates;
        self.write_later(local);
        match failure {
            Some(error) => Err(error),
            None => taken.ok_or_else(|| local_error("the value had ended before it arrived")),
        }
    }

    /// Records that the store cannot be used.
    pub(super) fn mark_down(&self, error: &StoreError) {
        tracing::debug!(fleet.record = self.names.shown(), "shared store not used: {error}");
        self.health.down(error);
    }
}

/// A random time, so that not all processes of a fleet ask at the same moment. It is short beside what is left of the value.
fn spread(known: Option<&Known>) -> Duration {
    let left = known.and_then(|known| known.expiry).map_or(Duration::ZERO, |expiry| expiry.remaining());
    let most = if left.is_zero() { MAX_SPREAD.1 } else { (left / 4).min(MAX_SPREAD.0) };
    most.mul_f64(fastrand::f64())
}
