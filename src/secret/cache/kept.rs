//! One value that a polled source gave, and when it is fetched again.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::clock::wall_now;
use crate::secret::{Fetched, Lease, SecretText, Source, SourceError};

/// Time until a source that failed is tried again; its polling interval, if that is shorter.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_secs(15);
/// Shortest time between two fetches, even if a secret expires sooner.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Longest time between two fetches.
pub(super) const MAX_INTERVAL: Duration = Duration::from_secs(30 * 24 * 3600);

/// The last value of a source.
pub(super) struct Kept {
    pub(super) value: SecretText,
    interval: Duration,
    pub(super) due: Instant,
    expires_at: Option<SystemTime>,
    /// Taken out while it is renewed.
    pub(super) lease: Option<Box<dyn Lease>>,
    pub(super) failing: Option<Failing>,
}

/// Why a value could not be fetched again.
pub(super) struct Failing {
    pub(super) error: SourceError,
    pub(super) since: SystemTime,
}

impl Kept {
    /// The first value of a source that is polled at this interval.
    pub(super) fn new(interval: Duration, fetched: Fetched) -> Self {
        let Fetched { value, expires_at, lease } = fetched;
        Self { value, interval, due: due(interval, expires_at), expires_at, lease, failing: None }
    }

    /// Replaces the value; returns whether it is another one. A value that cannot be used as the previous one was
    /// is an error. `parts` are the parts of it that are used.
    pub(super) fn replace<'s>(
        &mut self,
        source: &Source,
        parts: impl IntoIterator<Item = &'s Source>,
        fetched: Fetched,
    ) -> Result<bool, SourceError> {
        let mut is_whole = true;
        for part in parts {
            is_whole = false;
            // A part that was not there, or could not be used, is reported when the configuration is read.
            if let Ok(old) = part.part_of(&self.value) {
                ensure_usable(part, &old, part.part_of(&fetched.value)?)?;
            }
        }
        if is_whole {
            ensure_usable(source, &self.value, fetched.value.clone())?;
        }
        self.confirm(source, fetched.expires_at);
        let is_other = self.value != fetched.value;
        self.value = fetched.value;
        self.lease = fetched.lease;
        Ok(is_other)
    }

    /// Notes that the value is still the one of the source, until this time.
    pub(super) fn confirm(&mut self, source: &Source, expires_at: Option<SystemTime>) {
        if self.failing.take().is_some() {
            tracing::info!(secret.source = ?source, "secret source succeeded again");
        }
        self.due = due(self.interval, expires_at);
        self.expires_at = expires_at;
    }

    /// Keeps the value, and logs a new error once.
    pub(super) fn failed(&mut self, source: &Source, error: SourceError) {
        // More often the sooner it expires. Once it has expired, there is nothing left to be in time for.
        let left = self.expires_at.and_then(|at| at.duration_since(wall_now()).ok());
        let wait = RETRY_INTERVAL.min(self.interval).min(left.map_or(Duration::MAX, |left| left / 3));
        self.due = Instant::now() + wait.max(MIN_INTERVAL);
        if self.failing.as_ref().map(|failing| &failing.error) == Some(&error) {
            return;
        }
        tracing::error!(
            secret.source = ?source,
            "secret source failed, the previous secret stays in use: {error}"
        );
        let since = self.failing.take().map_or_else(wall_now, |failing| failing.since);
        self.failing = Some(Failing { error, since });
    }
}

/// Checks that a new value can be used as the old one could: as a key, or as a secret.
fn ensure_usable(source: &Source, old: &SecretText, new: SecretText) -> Result<(), SourceError> {
    if source.signing_key_of(old, None).is_ok() {
        source.signing_key_of(&new, None)?;
    } else if old.clone().into_secret().is_ok() {
        source.secret_of(new)?;
    }
    Ok(())
}

/// When to fetch a value again: well before it expires, at four fifths of its lifetime. Up to a tenth earlier, so that many
/// processes do not fetch at the same time.
pub(super) fn due(interval: Duration, expires_at: Option<SystemTime>) -> Instant {
    let life = expires_at.map(|at| at.duration_since(wall_now()).unwrap_or_default());
    let wait = life.map_or(interval, |life| (life * 4 / 5).min(interval));
    let wait = wait.clamp(MIN_INTERVAL, MAX_INTERVAL);
    Instant::now() + wait.mul_f64(1.0 - fastrand::f64() / 10.0).max(MIN_INTERVAL)
}
