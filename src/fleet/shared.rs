//! One value that a fleet shares.
//!
//! | step | outcome |
//! |---|---|
//! | read | a newer value with enough left is used, without a lock |
//! | lock | held by another: the value at hand stays, and the store is read again |
//! | read again | somebody may have been faster |
//! | settle, mark | for refresh tokens: a holder that died, or a store that was away, has had its time |
//! | request | the lock is renewed meanwhile |
//! | write | only if nobody else has written; the lock ends, and the others are told |
//!
//! If the store cannot be used at any step, [`alone`](super::alone) decides.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::decision::{Decision, Situation, is_newer};
use super::failure::SharedFailure;
use super::health::Health;
use super::keys::FleetKeys;
use super::known::{Known, Local, Rules};
use super::lease::lease;
use super::names::Names;
use super::news::News;
use super::record::{Content, Obtained, Record};
use super::second_copy::SecondCopy;
use super::store::{Locked, SharedStore, StoreError, View};
use crate::metrics::SharedTokenMetrics;
use crate::refresh::{Cause, Expiry, Obtainer, Risk, Sharing, SourceError, SourceErrorKind};
use crate::secret::hex;

/// Longest wait for a process that holds the lock and renews it.
const MAX_WAIT: Duration = Duration::from_secs(120);
/// First and longest time between two looks at a lock that is held.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Makes the requests for a value.
#[async_trait]
pub trait Requester: Send + Sync {
    /// Makes one request. `current` is the content of the newest record, if there is one.
    async fn request(&self, current: Option<&[u8]>) -> Result<Obtained, SourceError>;
}

/// A value, to be used.
pub struct Taken {
    /// What the kind wrote.
    pub content: Content,
    /// When it must no longer be used.
    pub expiry: Expiry,
    /// Who obtained it.
    pub by: Obtainer,
}

/// A value that a fleet shares. There is one for each name in a process, also over reloads.
pub struct Shared {
    pub(super) names: Names,
    pub(super) rules: Rules,
    pub(super) keys: Arc<FleetKeys>,
    pub(super) store: Arc<dyn SharedStore>,
    /// The name of this process.
    pub(super) process: Arc<str>,
    /// Whether a refresh token may be spent without the store.
    pub(super) spends_alone: bool,
    pub(super) news: News,
    pub(super) local: tokio::sync::Mutex<Local>,
    pub(super) sharing: Arc<Sharing>,
    pub(super) health: Arc<Health>,
    pub(super) risk: Arc<Risk>,
    /// The news that were read.
    pub(super) seen: AtomicU64,
    pub(super) is_shut_down: AtomicBool,
    /// A copy of the refresh token on this machine, if it is kept there, too.
    pub(super) copy: OnceLock<Arc<dyn SecondCopy>>,
}

/// The outcome of an attempt under the lock.
pub(super) enum Step {
    /// There is a value.
    Done(Taken),
    /// There is none.
    Failed(SourceError),
    /// Somebody else was faster: decide again.
    Again,
}

impl From<Result<Taken, SourceError>> for Step {
    fn from(outcome: Result<Taken, SourceError>) -> Self {
        outcome.map_or_else(Self::Failed, Self::Done)
    }
}

/// What belongs to one call of [`Shared::obtain`].
pub(super) struct Call<'a> {
    pub(super) cause: Cause,
    pub(super) requester: &'a dyn Requester,
    pub(super) metrics: &'a SharedTokenMetrics,
    /// A random name, by which the lock is known as mine.
    pub(super) nonce: String,
    /// How long the lock of another was looked at.
    pub(super) watched: Duration,
}

impl Shared {
    /// What may end the grant.
    pub fn risk(&self) -> Option<Arc<Risk>> {
        self.rules.rotates.then(|| self.risk.clone())
    }

    /// What is known of the others.
    pub fn sharing(&self) -> &Arc<Sharing> {
        &self.sharing
    }

    /// Keeps the refresh token on this machine, too.
    pub fn keep_copy(&self, copy: Arc<dyn SecondCopy>) {
        let _ = self.copy.set(copy);
    }

    /// Obtains the value: that of another process, or a new one.
    pub async fn obtain(
        self: &Arc<Self>,
        cause: Cause,
        requester: &dyn Requester,
        metrics: &SharedTokenMetrics,
    ) -> Result<Taken, SourceError> {
        metrics.shared_token_wanted();
        let mut local = self.local.lock().await;
        self.read_copy(&mut local).await;
        let mut call = Call { cause, requester, metrics, nonce: random_name(), watched: Duration::ZERO };
        let outcome = match self.through_store(&mut local, &mut call).await {
            Ok(outcome) => outcome,
            Err(error) => self.without_store(&mut local, &call, &error).await,
        };
        self.save_copy(&mut local).await;
        let taken = outcome?;
        metrics.shared_token_obtained(taken.by.as_str());
        let took = local.known.as_ref().map(|known| Duration::from_millis(known.record.took));
        self.sharing.update(|facts| {
            facts.by = Some(taken.by.clone());
            facts.request_took = took;
        });
        Ok(taken)
    }

    async fn through_store(
        self: &Arc<Self>,
        local: &mut Local,
        call: &mut Call<'_>,
    ) -> Result<Result<Taken, SourceError>, StoreError> {
        let (began, mut look_again) = (Instant::now(), LOOK_AGAIN.0);
        loop {
            if self.is_shut_down.load(Ordering::Relaxed) {
                return Ok(Err(SourceError::new(SourceErrorKind::Local, "Sidekey is shutting down")));
            }
            let view = self.look(local).await?;
            match self.decide(&view, local, call) {
                Decision::Request => {}
                decided => return Ok(self.follow(decided, &view, local)),
            }
            let lease = lease(local.known.as_ref().map(Known::lifetime));
            match self.store.lock(&self.names, &call.nonce, lease).await? {
                Locked::Acquired(view) => match self.locked(view, lease, local, call).await? {
                    Step::Done(taken) => return Ok(Ok(taken)),
                    Step::Failed(error) => return Ok(Err(error)),
                    Step::Again => {}
                },
                Locked::Held(_) if began.elapsed() > MAX_WAIT => {
                    let message = "another process of the fleet has held the lock for two minutes";
                    return Ok(Err(SourceError::new(SourceErrorKind::Timeout, message)));
                }
                Locked::Held(left) => {
                    if call.watched.is_zero() {
                        call.metrics.shared_lock_wait();
                    }
                    let before = Instant::now();
                    self.wait_for_news(left.min(look_again)).await;
                    call.watched += before.elapsed();
                    look_again = (look_again * 2).min(LOOK_AGAIN.1);
                }
            }
        }
    }

    /// Waits for news of the record, or for about this long.
    async fn wait_for_news(&self, at_most: Duration) {
        let wait = at_most.mul_f64(0.75 + 0.5 * fastrand::f64()) + Duration::from_millis(2);
        let seen = self.seen.load(Ordering::Relaxed);
        let mut news = self.news.watch();
        let _ = tokio::time::timeout(wait, news.wait_for(|count| *count != seen)).await;
    }

    /// Reads the store, and gives it what it has lost.
    pub(super) async fn look(&self, local: &mut Local) -> Result<View, StoreError> {
        self.seen.store(*self.news.watch().borrow(), Ordering::Relaxed);
        let view = self.store.read(&self.names).await?;
        if self.offer(&view, local).await? { self.store.read(&self.names).await } else { Ok(view) }
    }

    pub(super) fn decide(&self, view: &View, local: &Local, call: &Call<'_>) -> Decision {
        let situation = Situation {
            now: view.now,
            newest: self.newest(view).transpose(),
            failure: SharedFailure::of(view, &self.keys, &self.names),
            known: local.known.as_ref(),
            cause: call.cause,
            rules: &self.rules,
            name: self.names.shown(),
        };
        situation.decide()
    }

    /// Does what was decided, if no request is needed.
    pub(super) fn follow(
        &self,
        decided: Decision,
        view: &View,
        local: &mut Local,
    ) -> Result<Taken, SourceError> {
        match decided {
            Decision::Take(record) => self.take(*record, view, local),
            Decision::Keep => {
                let known = local.known.as_ref();
                known.and_then(|known| self.taken(known)).ok_or_else(|| local_error("no value is at hand"))
            }
            Decision::Fail(error) => Err(error),
            Decision::Request => Err(local_error("a request needs the lock")),
        }
    }

    /// Uses a record of the store.
    pub(super) fn take(&self, record: Record, view: &View, local: &mut Local) -> Result<Taken, SourceError> {
        let expiry = Self::expiry_of(&record, view);
        let known = Known { record, expiry, is_alone: false };
        let taken = self.taken(&known);
        local.known = Some(known);
        local.is_unwritten = false;
        self.risk.set(None);
        taken.ok_or_else(|| local_error("the value in the shared store has ended"))
    }

    fn expiry_of(record: &Record, view: &View) -> Option<Expiry> {
        let left = record.left(view.now);
        let lifetime = Duration::from_millis(record.lifetime);
        (!left.is_zero()).then(|| Expiry::after(view.asked, left).of_lifetime(lifetime))
    }

    pub(super) fn taken(&self, known: &Known) -> Option<Taken> {
        let by = match &known.record.by {
            _ if known.is_alone => Obtainer::Alone,
            by if **by == *self.process => Obtainer::Own,
            by => Obtainer::Peer(by.clone()),
        };
        Some(Taken { content: known.record.content.clone(), expiry: known.expiry?, by })
    }

    /// Waits until another process has obtained a newer value. Gives the store what it has lost meanwhile.
    pub async fn changed(self: &Arc<Self>) {
        loop {
            let seen = self.seen.load(Ordering::Relaxed);
            let mut news = self.news.watch();
            if news.wait_for(|count| *count != seen).await.is_err() {
                std::future::pending::<()>().await;
            }
            let mut local = self.local.lock().await;
            let Ok(view) = self.look(&mut local).await else {
                // The next connection to the store brings news.
                continue;
            };
            let newest = self.newest(&view).and_then(Result::ok);
            let is_news = newest.is_some_and(|record| {
                is_newer(&record, local.known.as_ref(), &self.rules)
                    && (record.is_fresh(view.now) || (self.rules.rotates && record.ends.is_none()))
            });
            if is_news {
                return;
            }
        }
    }

    /// Prevents further requests.
    pub(super) fn close(&self) {
        self.is_shut_down.store(true, Ordering::Relaxed);
    }

    /// Waits for a request in progress until what it was issued is written.
    pub(super) async fn shut_down(self: &Arc<Self>) {
        let mut local = self.local.lock().await;
        if local.is_unwritten {
            let _ = self.look(&mut local).await;
        }
        if local.is_unwritten {
            tracing::error!(
                fleet.record = self.names.shown(),
                "refresh token lost: the shared store could not be given the newest one. A new login may be needed"
            );
        }
    }
}

/// A failure on this side.
pub(super) fn local_error(message: &str) -> SourceError {
    SourceError::new(SourceErrorKind::Local, message)
}

/// A random name: 128 bits.
pub(super) fn random_name() -> String {
    hex(&std::array::from_fn::<u8, 16, _>(|_| fastrand::u8(..)))
}
