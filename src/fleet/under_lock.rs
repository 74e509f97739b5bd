//! What is done under the lock: wait for what may be on its way, request, write.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::decision::{Decision, is_newer};
use super::failure::SharedFailure;
use super::known::{Known, Local};
use super::lease::{Renewal, settle_time, while_renewing};
use super::record::{Obtained, Record, millis, number};
use super::shared::{Call, Shared, Step, Taken, local_error, random_name};
use super::store::{StoreError, View, Write, Written};
use crate::refresh::{Cause, SourceError};

impl Shared {
    /// Works under the lock.
    pub(super) async fn locked(
        self: &Arc<Self>,
        view: View,
        lease: Duration,
        local: &mut Local,
        call: &Call<'_>,
    ) -> Result<Step, StoreError> {
        let view = match self.settle(&view, lease, local, call).await? {
            None => view,
            Some(time) => {
                self.renewing((lease, false), call, tokio::time::sleep(time)).await;
                self.look(local).await?
            }
        };
        match self.decide(&view, local, call) {
            Decision::Request => {}
            decided => {
                self.store.release(&self.names, &call.nonce).await?;
                return Ok(self.follow(decided, &view, local).into());
            }
        }
        if self.rules.rotates && !self.may_spend(call).await? {
            return Ok(Step::Again);
        }
        let newest = self.newest(&view).and_then(Result::ok);
        let known = local.known.as_ref().map(|known| &known.record);
        let is_older = |newest: &&Record| known.is_some_and(|known| known.generation > newest.generation);
        let base = newest.as_ref().filter(|newest| !is_older(newest)).or(known);
        if let (None, Some(error)) = (base, &local.copy.unread) {
            self.store.release(&self.names, &call.nonce).await?;
            let message =
                format!("the shared store has no refresh token, and the copy cannot be read: {error}");
            return Ok(Step::Failed(local_error(&message)));
        }
        let request = call.requester.request(base.map(|record| record.content.as_slice()));
        let began = Instant::now();
        match self.renewing((lease, self.rules.rotates), call, request).await {
            Ok(obtained) => self.keep((obtained, began.elapsed()), &view, newest.as_ref(), local, call).await,
            Err(error) => self.failed(error, &view, newest, local, call).await,
        }
    }

    /// Whether the refresh token may be spent now: the lock is mine, at the server that has the records. A primary that was replaced
    /// while it was stopped has an old refresh token when it goes on.
    async fn may_spend(&self, call: &Call<'_>) -> Result<bool, StoreError> {
        Ok(self.store.is_current().await? && self.store.mark(&self.names, &call.nonce).await?)
    }

    /// Does `work` while the lock is renewed. The second of the pair: whether a refresh token is being spent.
    async fn renewing<T>(
        &self,
        (lease, spends): (Duration, bool),
        call: &Call<'_>,
        work: impl Future<Output = T>,
    ) -> T {
        let renewal = Renewal { names: &self.names, nonce: &call.nonce, lease, spends };
        while_renewing(&*self.store, renewal, work).await
    }

    /// How long to wait before a refresh token is spent, because the last holder may be about to write, or because others may
    /// be about to give the store what it has lost; `None` if there is no reason.
    async fn settle(
        &self,
        view: &View,
        lease: Duration,
        local: &Local,
        call: &Call<'_>,
    ) -> Result<Option<Duration>, StoreError> {
        if !self.rules.rotates {
            return Ok(None);
        }
        let settle_time = settle_time(lease);
        let mut wait = settle_time.saturating_sub(self.store.stable_for());
        if view.spender.as_ref().is_some_and(|spender| *spender != call.nonce) {
            wait = wait.max(settle_time.saturating_sub(call.watched));
        }
        if let Some(restored) = local.restored {
            wait = wait.max(settle_time.saturating_sub(restored.elapsed()));
        }
        if view.record.is_none() {
            self.store.ask(&self.names).await?;
            wait = settle_time;
        }
        Ok((!wait.is_zero()).then_some(wait))
    }

    /// Writes what was obtained, and uses it.
    async fn keep(
        self: &Arc<Self>,
        (obtained, took): (Obtained, Duration),
        view: &View,
        newest: Option<&Record>,
        local: &mut Local,
        call: &Call<'_>,
    ) -> Result<Step, StoreError> {
        let Obtained { content, expiry, failure } = obtained;
        let now = view.now_at_least();
        let known = local.known.as_ref().map_or(0, |known| known.record.generation);
        let is_forced = matches!(call.cause, Cause::Rejected | Cause::Requested);
        let record = Record {
            generation: number(view.generation()).unwrap_or_default().max(known) + 1,
            write: random_name(),
            by: self.process.to_string(),
            ends: expiry.map(|expiry| now.saturating_add(millis(expiry.remaining()))),
            lifetime: expiry.map_or(0, |expiry| millis(expiry.lifetime())),
            took: millis(took),
            forced: if is_forced { Some(now) } else { newest.and_then(|record| record.forced) },
            content,
        };
        let known = Known { record, expiry, is_alone: false };
        let outcome = self.taken(&known);
        local.known = Some(known.clone());
        local.is_unwritten = self.rules.rotates;
        // Before it is used: whatever happens next, it is on this machine.
        self.save_copy(local).await;
        match self.write(&known, view, call).await {
            Ok(Written::Done) => self.written(local),
            Ok(Written::Lost(now)) => {
                if let Some(step) = self.lost(&now, local, call) {
                    return Ok(step);
                }
            }
            Err(error) => {
                self.mark_down(&error);
                self.write_later(local);
            }
        }
        match (failure, outcome) {
            (None, Some(taken)) => Ok(Step::Done(taken)),
            (None, None) => Ok(Step::Failed(local_error("the value had ended before it arrived"))),
            (Some(error), _) => {
                // The refresh token is kept; that it came without a usable value concerns all.
                let view = self.store.read(&self.names).await?;
                Ok(Step::Failed(self.share_failure(error, &view, local, call).await))
            }
        }
    }

    /// Another process has written while the request was made: who was first counts. `None` if the own value does.
    fn lost(self: &Arc<Self>, view: &View, local: &mut Local, call: &Call<'_>) -> Option<Step> {
        let theirs = self.newest(view).and_then(Result::ok);
        let own = local.known.as_ref().map(|known| &known.record)?;
        if theirs.as_ref().is_some_and(|theirs| theirs.write == own.write) {
            // The answer to the first attempt to write was lost.
            self.written(local);
            return None;
        }
        call.metrics.shared_write_lost();
        let Some(theirs) = theirs.filter(|theirs| theirs.generation >= own.generation) else {
            // The store has lost records, and is given this one.
            self.write_later(local);
            return None;
        };
        if theirs.is_fresh(view.now) {
            return Some(self.take(theirs, view, local).into());
        }
        if self.rules.rotates {
            // A login: its refresh token is used now.
            let _ = self.take(theirs, view, local);
            return Some(Step::Again);
        }
        None
    }

    async fn write(&self, known: &Known, view: &View, call: &Call<'_>) -> Result<Written, StoreError> {
        let write = Write {
            nonce: &call.nonce,
            expected: view.generation(),
            generation: &known.record.generation_text(),
            sealed: known.record.seal(&self.keys, &self.names),
            keep: self.keep_time(known),
        };
        self.store.write(&self.names, write).await
    }

    /// Shares a failure, unless somebody else has got a value meanwhile.
    async fn failed(
        &self,
        error: SourceError,
        view: &View,
        newest: Option<Record>,
        local: &mut Local,
        call: &Call<'_>,
    ) -> Result<Step, StoreError> {
        let now = match self.store.read(&self.names).await {
            // A refused refresh token was spent by another process, whose write has come in between.
            Ok(now) if now.generation() != view.generation() => {
                self.store.release(&self.names, &call.nonce).await?;
                call.metrics.shared_write_lost();
                return Ok(Step::Again);
            }
            Ok(now) => now,
            Err(_) => view.clone(),
        };
        let error = self.share_failure(error, &now, local, call).await;
        // What is not fresh is better than nothing.
        let left = newest.filter(|record| {
            record.is_usable(now.now_at_least()) && is_newer(record, local.known.as_ref(), &self.rules)
        });
        let taken: Option<Taken> = left.and_then(|record| self.take(record, &now, local).ok());
        Ok(taken.map_or(Step::Failed(error), Step::Done))
    }

    /// Tells the others of a failure. Returns it with the time after which anybody asks again.
    async fn share_failure(
        &self,
        error: SourceError,
        view: &View,
        local: &Local,
        call: &Call<'_>,
    ) -> SourceError {
        let known = local.known.as_ref();
        let remaining = known.and_then(|known| known.expiry).map(|expiry| expiry.remaining());
        let remaining = remaining.filter(|remaining| !remaining.is_zero());
        let before = SharedFailure::of(view, &self.keys, &self.names);
        let lifetime = known.map(Known::lifetime).filter(|lifetime| !lifetime.is_zero());
        let failure = SharedFailure::after(before.as_ref(), error, view, lifetime, remaining);
        let sealed = failure.seal(&self.keys, &self.names, view.generation());
        // If it cannot be shared, the others find out themselves.
        let keep = failure.keep(view.now);
        let _ = self.store.fail(&self.names, &call.nonce, view.generation(), sealed, keep).await;
        failure.error
    }
}
