//! The current value of one credential: read by every request without a lock, written by its refresher alone.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwapOption, Guard};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::SourceError;
use super::expiry::{Expiring, Expiry};
use super::risk::Risk;
use super::schedule::MIN_INTERVAL;
use super::server::{ServerFacts, SourceServer};
use super::sharing::{Sharing, SharingFacts};
use super::source::Cause;
use super::status::RefreshStatus;

/// The current value, and what is known of the next refresh.
pub struct Store<T> {
    current: ArcSwapOption<Versioned<T>>,
    progress: watch::Sender<Progress>,
    /// Whether a refresh is requested that has not started yet.
    refresh_requested: watch::Sender<bool>,
    /// Minimum interval between two forced refreshes.
    min_interval: Duration,
    status: Mutex<RefreshStatus>,
    /// What may make the next value unobtainable.
    risk: Mutex<Option<Arc<Risk>>>,
    /// What the source has learnt of its server.
    server: Mutex<Option<Arc<SourceServer>>>,
    /// What the source knows of the others that share the value.
    sharing: Mutex<Option<Arc<Sharing>>>,
}

/// A value with its number.
#[derive(Debug)]
pub struct Versioned<T> {
    value: T,
    /// Number of the value in its store, from 1. It tells a late rejection of an old value from one of the
    /// current value.
    pub generation: u64,
}

impl<T> Deref for Versioned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Counters of the refresher's work.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// Number of values obtained.
    generation: u64,
    /// Number of attempts that ended, whether they succeeded or failed.
    attempts: u64,
}

/// Why a value is to be refreshed before it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshReason {
    /// The upstream rejected the value of this generation.
    Rejected(u64),
    /// The value has expired although no refresh is due: the wall clock was set forward, or the machine slept.
    Expired,
    /// An operator requested it.
    Requested,
    /// What the value is obtained with has changed: a secret, a login. Neither the back-off nor the interval
    /// delays this.
    InputChanged,
}

/// What [`Store::refresh_now`] decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshDecision {
    /// No attempt: the store already has a newer value than the rejected one.
    AlreadyNewer,
    /// An attempt is in progress or starts now. [`Store::wait_for`] waits for its end.
    Pending(Attempt),
    /// No attempt: the last forced refresh was less than the interval ago, or the source is failing and its
    /// back-off is not over.
    Throttled,
}

/// An attempt to obtain a value, to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    generation: u64,
    attempts: u64,
}

impl RefreshReason {
    fn cause(self) -> Cause {
        match self {
            Self::Rejected(_) => Cause::Rejected,
            Self::Expired => Cause::Due,
            Self::Requested => Cause::Requested,
            Self::InputChanged => Cause::InputChanged,
        }
    }
}

impl<T: Expiring> Store<T> {
    /// An empty store. A refresh is forced at most once in `min_interval`, so that an upstream that rejects
    /// every value cannot make the refresher send request after request.
    pub fn new(min_interval: Duration) -> Self {
        Self {
            current: ArcSwapOption::empty(),
            progress: watch::Sender::default(),
            refresh_requested: watch::Sender::new(false),
            min_interval,
            status: Mutex::default(),
            risk: Mutex::default(),
            server: Mutex::default(),
            sharing: Mutex::default(),
        }
    }

    /// The current value, whether it has expired or not: for looking at it, never for sending it. Lock-free.
    pub fn latest(&self) -> Guard<Option<Arc<Versioned<T>>>> {
        self.current.load()
    }

    /// The current value, if it has not expired. Lock-free.
    pub fn current(&self) -> Option<Guard<Option<Arc<Versioned<T>>>>> {
        let guard = self.current.load();
        match &*guard {
            Some(value) if !value.expiry().is_past() => Some(guard),
            _ => None,
        }
    }

    /// Waits until there is a value that has not expired, `limit` at most, and only while the outcome of an
    /// attempt may be known by then (`RefreshStatus::may_succeed_by`). If the value has expired although no
    /// refresh is due, requests one.
    ///
    /// The first value is waited for over several attempts: its source may be starting, too. For a later one
    /// the wait ends with the first attempt that began after the call and failed, so that requests do not pile
    /// up during an outage.
    pub async fn wait_until_usable(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut progress = self.progress.subscribe();
        if self.expiry().is_some_and(|expiry| expiry.is_past()) {
            self.refresh_now(RefreshReason::Expired);
        }
        let (status, began) = (self.status(), *progress.borrow_and_update());
        let patience = u64::from(status.in_flight) + 1;
        let mut now = began;
        loop {
            let is_usable = self.current().is_some();
            let is_over = now.generation > 0 && self.has_failed(now.attempts - began.attempts, patience);
            if is_usable || is_over || !self.is_expected_by(deadline) {
                return;
            }
            // Whatever the outcome, the caller reads `current` again.
            if tokio::time::timeout_at(deadline, progress.changed()).await.is_err() {
                return;
            }
            now = *progress.borrow_and_update();
        }
    }

    /// Whether the last of this many attempts has failed, and no fewer than `patience` were made.
    fn has_failed(&self, attempts: u64, patience: u64) -> bool {
        attempts >= patience && self.status.lock().failures > 0
    }

    fn is_expected_by(&self, deadline: Instant) -> bool {
        *self.refresh_requested.borrow() || self.status.lock().may_succeed_by(deadline)
    }

    /// Whether no value was ever obtained.
    pub fn never_issued(&self) -> bool {
        self.progress.borrow().generation == 0
    }

    /// Requests a refresh before it is due. Any number of calls at the same time result in one attempt.
    ///
    /// | reason | attempt pending | forced within the interval | last attempt failed | otherwise |
    /// |---|---|---|---|---|
    /// | `Rejected`, an old value | `AlreadyNewer` | `AlreadyNewer` | `AlreadyNewer` | `AlreadyNewer` |
    /// | `Rejected`, the current value | joins it | `Throttled` | `Throttled` | starts one |
    /// | `Expired` | joins it | starts one | `Throttled` | starts one |
    /// | `Requested` | joins it | `Throttled` | starts one | starts one |
    /// | `InputChanged` | starts another one after it | starts one | starts one | starts one |
    ///
    /// The first column that applies decides. "Joins" and "starts" are both [`RefreshDecision::Pending`].
    /// `Expired` starts no attempt within the schedule's shortest interval.
    ///
    /// Does not wait; callable from any thread.
    pub fn refresh_now(&self, reason: RefreshReason) -> RefreshDecision {
        let mut status = self.status.lock();
        let Progress { generation, attempts } = *self.progress.borrow();
        if matches!(reason, RefreshReason::Rejected(rejected) if rejected < generation) {
            return RefreshDecision::AlreadyNewer;
        }
        let attempt = Attempt { generation, attempts };
        let is_pending = status.in_flight || *self.refresh_requested.borrow();
        if is_pending && reason != RefreshReason::InputChanged {
            return RefreshDecision::Pending(attempt);
        }
        let is_too_soon = status.last_forced.is_some_and(|last| last.elapsed() < self.min_interval);
        let is_scheduled = status.last_started.is_some_and(|last| last.elapsed() < MIN_INTERVAL);
        match reason {
            RefreshReason::Rejected(_) if is_too_soon || status.failures > 0 => {
                return RefreshDecision::Throttled;
            }
            RefreshReason::Expired if is_scheduled || status.failures > 0 => {
                return RefreshDecision::Throttled;
            }
            RefreshReason::Requested if is_too_soon => return RefreshDecision::Throttled,
            RefreshReason::Expired => {}
            _ => status.last_forced = Some(Instant::now()),
        }
        status.requested = Some(reason.cause());
        self.refresh_requested.send_replace(true);
        // An attempt in progress may have been made with the old input: the one after it counts.
        let attempts = attempts + u64::from(status.in_flight);
        RefreshDecision::Pending(Attempt { attempts, ..attempt })
    }

    /// Waits for the end of an attempt, `limit` at most. Returns whether there is a new value.
    pub async fn wait_for(&self, attempt: Attempt, limit: Duration) -> bool {
        let mut progress = self.progress.subscribe();
        let ended = progress.wait_for(|now| now.attempts > attempt.attempts);
        let _ = tokio::time::timeout(limit, ended).await;
        self.progress.borrow().generation > attempt.generation
    }

    /// Waits until `is_done` returns true. It is called now and after every attempt.
    pub async fn wait_until(&self, is_done: impl Fn() -> bool) {
        let mut progress = self.progress.subscribe();
        while !is_done() {
            // Cannot fail: the sender lives as long as the store.
            let _ = progress.changed().await;
        }
    }

    /// Minimum interval between two forced refreshes.
    pub fn min_interval(&self) -> Duration {
        self.min_interval
    }

    /// Waits until a refresh is requested.
    pub(super) async fn refresh_requested(&self) {
        let _ = self.refresh_requested.subscribe().wait_for(|is_requested| *is_requested).await;
    }

    /// Records that an attempt starts. Returns why it was requested, if it was.
    pub(super) fn attempt_started(&self) -> Option<Cause> {
        let mut status = self.status.lock();
        status.in_flight = true;
        status.last_started = Some(Instant::now());
        self.refresh_requested.send_replace(false);
        status.requested.take()
    }

    /// Replaces the current value.
    pub(super) fn store_value(&self, value: T) {
        let generation = self.progress.borrow().generation + 1;
        let value = Arc::new(Versioned { value, generation });
        // Locked before the value can be used: it cannot be rejected before its generation is known.
        let mut status = self.status.lock();
        self.current.store(Some(value));
        status.failures = 0;
        status.last_error = None;
        status.failing_since = None;
        status.last_success = Some(SystemTime::now());
        // Set together with the new value: a rejection of that value must not join the attempt that brought
        // it.
        status.in_flight = false;
        self.progress
            .send_modify(|progress| *progress = Progress { generation, attempts: progress.attempts + 1 });
    }

    /// Records a failed attempt, and that the next one is due after `wait`. The current value stays.
    pub(super) fn attempt_failed(&self, error: SourceError, wait: Duration) {
        let mut status = self.status.lock();
        status.failures = status.failures.saturating_add(1);
        status.last_error = Some(error);
        status.failing_since.get_or_insert_with(SystemTime::now);
        status.in_flight = false;
        // Set together with the failure: who waits decides by it whether to wait any longer.
        status.next_attempt = Some(Instant::now() + wait);
        self.progress.send_modify(|progress| progress.attempts += 1);
    }

    /// Records when the next attempt is due.
    pub(super) fn next_attempt_in(&self, wait: Duration) {
        self.status.lock().next_attempt = Some(Instant::now() + wait);
    }

    /// A copy of the status.
    pub fn status(&self) -> RefreshStatus {
        self.status.lock().clone()
    }

    /// Replaces what the store shows as a risk.
    pub fn watch_risk(&self, risk: Option<Arc<Risk>>) {
        *self.risk.lock() = risk;
    }

    /// Replaces the server whose facts the store shows.
    pub fn watch_server(&self, server: Option<Arc<SourceServer>>) {
        *self.server.lock() = server;
    }

    /// What is known of the server that the value comes from.
    pub fn server(&self) -> ServerFacts {
        self.server.lock().as_ref().map(|server| server.facts()).unwrap_or_default()
    }

    /// Replaces what the store shows of the others that share the value.
    pub fn watch_sharing(&self, sharing: Option<Arc<Sharing>>) {
        *self.sharing.lock() = sharing;
    }

    /// What is known of the others that share the value; `None` if it is not shared.
    pub fn sharing(&self) -> Option<SharingFacts> {
        self.sharing.lock().as_ref().map(|sharing| sharing.facts())
    }

    /// What may make the next value unobtainable, in plain words.
    pub fn risk(&self) -> Option<String> {
        self.risk.lock().as_ref().and_then(|risk| risk.get())
    }

    /// Whether there is anything that may make the next value unobtainable; `None` if nothing can.
    pub fn is_at_risk(&self) -> Option<bool> {
        self.risk.lock().as_ref().map(|risk| risk.get().is_some())
    }

    /// Expiry of the current value, expired or not.
    pub fn expiry(&self) -> Option<Expiry> {
        self.current.load().as_ref().map(|value| value.expiry())
    }
}

#[cfg(test)]
mod tests;
