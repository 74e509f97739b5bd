//! A lease of a dynamic secret: renewed while that is possible, and revoked when the secret is not used any more.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use serde_json::json;
use zeroize::Zeroizing;

use super::answer::ReadAnswer;
use super::connection::{Call, VaultConnection};
use crate::secret::{Lease, Renewal, SourceError};

/// A lease.
pub(super) struct VaultLease {
    store: Arc<VaultConnection>,
    id: Zeroizing<String>,
    /// The number of the login, with whose token it ends.
    generation: u64,
    is_renewable: bool,
    /// How long it was issued for.
    issued: Duration,
    end: Mutex<Instant>,
}

impl VaultLease {
    /// The lease of an answer, until `end`.
    pub(super) fn new(
        store: Arc<VaultConnection>,
        answer: &ReadAnswer<'_>,
        generation: u64,
        end: Instant,
    ) -> Self {
        let (id, is_renewable) = (Zeroizing::new(answer.lease_id.clone()), answer.renewable);
        let issued = Duration::from_secs(answer.lease_duration);
        Self { store, id, generation, is_renewable, issued, end: Mutex::new(end) }
    }

    /// Whether the store has it: somebody may have revoked it. If the store does not say, it is there.
    fn is_known(&self) -> Result<bool, SourceError> {
        let body = json!({ "lease_id": *self.id });
        let (answer, session) = self.store.call(&Call::put("sys/leases/lookup", body))?;
        Ok(!matches!(answer.status, 400 | 404) && session.generation == self.generation)
    }
}

/// A lease is valid for as long as its token is.
fn until(left: Duration, token: Option<Duration>) -> Renewal {
    Renewal::Until(SystemTime::now() + token.map_or(left, |token| token.min(left)))
}

impl Lease for VaultLease {
    fn renew(&self) -> Result<Renewal, SourceError> {
        let session = self.store.session(None)?;
        if session.generation != self.generation {
            return Ok(Renewal::Ended);
        }
        let left = self.end.lock().saturating_duration_since(Instant::now());
        let is_early = left > if self.is_renewable { self.issued / 2 } else { self.issued / 3 };
        if is_early {
            return Ok(if self.is_known()? { until(left, session.remaining()) } else { Renewal::Ended });
        }
        if !self.is_renewable {
            return Ok(Renewal::Ended);
        }
        let asked = Instant::now();
        let body = json!({ "lease_id": *self.id, "increment": self.issued.as_secs() });
        let (answer, session) = self.store.call(&Call::put("sys/leases/renew", body))?;
        if answer.status != 200 || session.generation != self.generation {
            return Ok(Renewal::Ended);
        }
        let granted = Duration::from_secs(self.store.parse::<RenewedLease>(&answer)?.lease_duration);
        // Less than before is what is left of the longest time that it can live: another one is read while this one is valid.
        if granted < self.issued * 9 / 10 {
            return Ok(Renewal::Ended);
        }
        *self.end.lock() = asked + granted;
        Ok(until(granted, session.remaining()))
    }

    fn release(&self) {
        let body = json!({ "lease_id": *self.id });
        let is_it = |session: &super::session::Session| session.generation == self.generation;
        self.store.farewell(is_it, &Call::put("sys/leases/revoke", body));
    }
}

/// The answer to a renewal.
#[derive(serde::Deserialize)]
struct RenewedLease {
    /// In seconds.
    #[serde(default)]
    lease_duration: u64,
}
