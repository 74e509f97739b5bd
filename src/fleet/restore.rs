//! Gives the store what it has lost, or could not be given before: after a restart without its data, after a failover that lost a
//! write, after an outage.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::known::{Known, Local};
use super::lease::RETRY_INTERVAL;
use super::record::{Record, millis, number};
use super::shared::{Shared, random_name};
use super::store::{StoreError, View, Write, Written};
use crate::secret::Unreadable;

/// How much longer than its value a record without a refresh token is kept at least: its generations continue.
const MIN_KEEP: Duration = Duration::from_secs(60);

impl Shared {
    /// Gives the store the value at hand if it has none, or an older one. Returns whether the store must be read again.
    pub(super) async fn offer(&self, view: &View, local: &mut Local) -> Result<bool, StoreError> {
        let Some(known) = &mut local.known else { return Ok(false) };
        let stored = match self.newest(view).transpose() {
            // It may be newer; whoever can read it goes on with it.
            Err(_) if self.rules.rotates => return Ok(false),
            stored => stored.ok().flatten(),
        };
        if known.is_alone && !self.rules.rotates {
            return self.publish(view, stored.as_ref(), known).await;
        }
        let is_worth_it = self.rules.rotates || known.is_usable();
        if !is_worth_it || stored.is_some_and(|stored| stored.generation >= known.record.generation) {
            if local.is_unwritten {
                self.written(local);
            }
            return Ok(false);
        }
        // The clock of the store may be another one than before.
        known.record.ends = ends(known, view);
        let (generation, sealed) =
            (known.record.generation_text(), known.record.seal(&self.keys, &self.names));
        let was_written = self.store.restore(&self.names, &generation, sealed, self.keep_time(known)).await?;
        if was_written {
            tracing::info!(fleet.record = self.names.shown(), "shared store given what it had lost");
            known.is_alone = false;
            local.restored = Some(Instant::now());
            self.written(local);
        }
        Ok(true)
    }

    /// Gives a value that was obtained alone to all, if the store has none that is better.
    async fn publish(
        &self,
        view: &View,
        stored: Option<&Record>,
        known: &mut Known,
    ) -> Result<bool, StoreError> {
        if !known.is_fresh() || stored.is_some_and(|stored| stored.is_fresh(view.now)) {
            return Ok(false);
        }
        let generation = number(view.generation()).unwrap_or_default().max(known.record.generation) + 1;
        let record = Record { generation, ends: ends(known, view), ..known.record.clone() };
        let write = Write {
            nonce: &random_name(),
            expected: view.generation(),
            generation: &record.generation_text(),
            sealed: record.seal(&self.keys, &self.names),
            keep: self.keep_time(known),
        };
        if let Written::Done = self.store.write(&self.names, write).await? {
            *known = Known { record, is_alone: false, ..known.clone() };
        }
        Ok(true)
    }

    /// The newest record that the store has, opened.
    pub(super) fn newest(&self, view: &View) -> Option<Result<Record, Unreadable>> {
        view.record.as_ref().map(|stored| Record::open(&self.keys, &self.names, stored))
    }

    /// Records that the store has the value at hand.
    pub(super) fn written(&self, local: &mut Local) {
        local.is_unwritten = false;
        self.risk.set(None);
    }

    /// Gives the store the refresh token at hand as soon as it can be used.
    pub(super) fn write_later(self: &Arc<Self>, local: &Local) {
        if !local.is_unwritten {
            return;
        }
        let message = "the newest refresh token is in memory only, because the shared store cannot be written, and is lost if \
                       Sidekey ends";
        self.risk.set(Some(message.into()));
        tracing::error!(fleet.record = self.names.shown(), "shared store not written: {message}");
        let shared = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(RETRY_INTERVAL).await;
                let mut local = shared.local.lock().await;
                if local.is_unwritten {
                    let _ = shared.look(&mut local).await;
                }
                if !local.is_unwritten {
                    return;
                }
            }
        });
    }

    /// How long the store keeps a record; `None`: without an end, because it has a refresh token.
    pub(super) fn keep_time(&self, known: &Known) -> Option<Duration> {
        let left = known.expiry.map_or(Duration::ZERO, |expiry| expiry.remaining());
        (!self.rules.rotates).then(|| left + known.lifetime().max(MIN_KEEP))
    }
}

/// When the value at hand ends, by the clock of the store.
fn ends(known: &Known, view: &View) -> Option<u64> {
    let left = known.expiry?.remaining();
    (!left.is_zero()).then(|| view.now_at_least().saturating_add(millis(left)))
}
