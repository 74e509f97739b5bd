//! The current value of one credential: read by every request without a lock, written by its refresher alone.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwapOption, Guard};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::SourceError;
use super::expiry;
use super::expiry::{Expiring, Expiry};

/// The current value, and what is known of the next refresh.
pub struct Store<T> {
    current: ArcSwapOption<Versioned<T>>,
    progress: watch::Sender<Progress>,
    /// Whether a refresh is requested that has not started yet.
    refresh_requested: watch::Sender<bool>,
    /// Minimum interval between two forced refreshes.
    min_interval: Duration,
    status: Mutex<RefreshStatus>,
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

/// What the refresher did last and will do next. Readiness, metrics, the status page and error responses read
/// it.
#[derive(Debug, Clone, Default)]
pub struct RefreshStatus {
    /// Number of consecutive failed attempts.
    pub failures: u32,
    /// The error of the last attempt, if it failed.
    pub last_error: Option<SourceError>,
    /// Time of the first of the consecutive failures.
    pub failing_since: Option<SystemTime>,
    /// Time of the last success.
    pub last_success: Option<SystemTime>,
    /// When the next attempt is due.
    pub next_attempt: Option<Instant>,
    /// Whether an attempt is in progress.
    pub in_flight: bool,
    /// Time of the last forced refresh.
    last_forced: Option<Instant>,
}

/// Why a value is to be refreshed before it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshReason {
    /// The upstream rejected the value of this generation.
    Rejected(u64),
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
        }
    }

    /// The current value, if it has not expired. Lock-free.
    pub fn current(&self) -> Option<Guard<Option<Arc<Versioned<T>>>>> {
        let guard = self.current.load();
        match &*guard {
            Some(value) if !value.expiry().is_past() => Some(guard),
            _ => None,
        }
    }

    /// Waits for the first value, `limit` at most. Returns at once if there ever was one.
    pub async fn wait_for_first(&self, limit: Duration) {
        let mut progress = self.progress.subscribe();
        let first = progress.wait_for(|progress| progress.generation > 0);
        // Whatever the outcome, the caller reads `current` again.
        let _ = tokio::time::timeout(limit, first).await;
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
    /// | `Requested` | joins it | `Throttled` | starts one | starts one |
    /// | `InputChanged` | starts another one after it | starts one | starts one | starts one |
    ///
    /// The first column that applies decides. "Joins" and "starts" are both [`RefreshDecision::Pending`].
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
        match reason {
            RefreshReason::Rejected(_) if is_too_soon || status.failures > 0 => {
                return RefreshDecision::Throttled;
            }
            RefreshReason::Requested if is_too_soon => return RefreshDecision::Throttled,
            _ => {}
        }
        status.last_forced = Some(Instant::now());
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

    /// Records that an attempt starts.
    pub(super) fn attempt_started(&self) {
        let mut status = self.status.lock();
        status.in_flight = true;
        self.refresh_requested.send_replace(false);
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

    /// Records a failed attempt and returns the number of consecutive failures. The current value stays.
    pub(super) fn attempt_failed(&self, error: SourceError) -> u32 {
        let mut status = self.status.lock();
        status.failures = status.failures.saturating_add(1);
        status.last_error = Some(error);
        status.failing_since.get_or_insert_with(SystemTime::now);
        status.in_flight = false;
        self.progress.send_modify(|progress| progress.attempts += 1);
        status.failures
    }

    /// Records when the next attempt is due.
    pub(super) fn next_attempt_in(&self, wait: Duration) {
        self.status.lock().next_attempt = Some(Instant::now() + wait);
    }

    /// A copy of the status.
    pub fn status(&self) -> RefreshStatus {
        self.status.lock().clone()
    }

    /// Expiry of the current value, expired or not.
    pub fn expiry(&self) -> Option<Expiry> {
        self.current.load().as_ref().map(|value| value.expiry())
    }

    /// Expiry of the current value as Unix time, expired or not.
    pub fn expiry_unix_seconds(&self) -> Option<f64> {
        self.expiry().map(|expiry| expiry.unix_seconds())
    }
}

impl RefreshStatus {
    /// Time until the next attempt, for `Retry-After`.
    pub fn next_attempt_in(&self) -> Duration {
        self.next_attempt.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()))
    }

    /// `next_attempt` on the wall clock.
    pub fn next_attempt_wall(&self) -> Option<SystemTime> {
        self.next_attempt.map(|_| SystemTime::now() + self.next_attempt_in())
    }

    /// Time since the first of the consecutive failures.
    pub fn failing_for(&self) -> Option<Duration> {
        Some(SystemTime::now().duration_since(self.failing_since?).unwrap_or_default())
    }

    /// `next_attempt` as Unix time.
    pub fn next_attempt_unix_seconds(&self) -> Option<f64> {
        self.next_attempt_wall().map(expiry::unix_seconds)
    }

    /// `last_success` as Unix time.
    pub fn last_success_unix_seconds(&self) -> Option<f64> {
        self.last_success.map(expiry::unix_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refresh::error::SourceErrorKind;
    use crate::refresh::expiry::ClockReading;

    const INTERVAL: Duration = Duration::from_secs(5);

    /// The simplest value that expires.
    #[derive(Debug)]
    struct Ticket {
        text: &'static str,
        expiry: Expiry,
    }

    impl Expiring for Ticket {
        const NAME: &'static str = "ticket";

        fn expiry(&self) -> Expiry {
            self.expiry
        }
    }

    fn ticket(text: &'static str, lifetime: u64) -> Ticket {
        Ticket { text, expiry: Expiry::after(ClockReading::now(), Duration::from_secs(lifetime)) }
    }

    fn empty() -> Store<Ticket> {
        Store::new(INTERVAL)
    }

    #[tokio::test(start_paused = true)]
    async fn store_hands_out_a_value_until_its_expiry_despite_failures() {
        let store = empty();
        assert!(store.current().is_none());
        store.store_value(ticket("one", 10));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(store.attempt_failed(SourceError::new(SourceErrorKind::Timeout, "slow")), 1);
        assert_eq!(store.current().unwrap().as_ref().unwrap().text, "one");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(store.current().is_none());
        store.store_value(ticket("two", 10));
        assert_eq!(store.current().unwrap().as_ref().unwrap().generation, 2);
        assert_eq!(store.status().failures, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn store_wakes_all_waiters_for_the_first_value() {
        let store = Arc::new(empty());
        let waiting: Vec<_> = (0..1000)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    store.wait_for_first(Duration::from_secs(5)).await;
                    store.current().is_some()
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(4)).await;
        store.store_value(ticket("one", 10));
        for request in waiting {
            assert!(request.await.unwrap());
        }
        let empty = empty();
        empty.wait_for_first(Duration::from_secs(5)).await;
        assert!(empty.current().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn store_joins_concurrent_rejections_and_ignores_late_ones() {
        let store = Arc::new(empty());
        store.store_value(ticket("one", 3600));
        let waiting: Vec<_> = (0..1000)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let RefreshDecision::Pending(attempt) = store.refresh_now(RefreshReason::Rejected(1))
                    else {
                        panic!("pending")
                    };
                    store.wait_for(attempt, INTERVAL).await
                })
            })
            .collect();
        store.refresh_requested().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        store.attempt_started();
        assert!(!*store.refresh_requested.borrow(), "one attempt serves all");
        store.store_value(ticket("two", 3600));
        for request in waiting {
            assert!(request.await.unwrap());
        }
        assert_eq!(store.refresh_now(RefreshReason::Rejected(1)), RefreshDecision::AlreadyNewer);
        assert!(!*store.refresh_requested.borrow(), "a late rejection requests nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn store_throttles_forced_refreshes_and_respects_back_off() {
        let store = empty();
        let forced = |reason, issue: Option<&'static str>| {
            let refresh = store.refresh_now(reason);
            if *store.refresh_requested.borrow() {
                store.attempt_started();
                match issue {
                    Some(value) => store.store_value(ticket(value, 3600)),
                    None => drop(store.attempt_failed(SourceError::new(SourceErrorKind::Connect, "down"))),
                }
            }
            matches!(refresh, RefreshDecision::Pending(_))
        };
        store.store_value(ticket("one", 3600));
        assert!(forced(RefreshReason::Rejected(1), Some("two")));
        assert!(
            !forced(RefreshReason::Rejected(2), Some("three"))
                && !forced(RefreshReason::Requested, Some("three"))
        );
        tokio::time::sleep(INTERVAL).await;
        assert!(forced(RefreshReason::Rejected(2), None));
        tokio::time::sleep(INTERVAL).await;
        assert!(!forced(RefreshReason::Rejected(2), Some("three")), "the back-off is not over");
        assert!(forced(RefreshReason::Requested, None));
        assert!(forced(RefreshReason::InputChanged, Some("three")), "a changed input is never throttled");
    }

    #[tokio::test(start_paused = true)]
    async fn store_starts_another_attempt_for_a_change_during_one() {
        let store = empty();
        store.attempt_started();
        let RefreshDecision::Pending(first) = store.refresh_now(RefreshReason::Requested) else {
            panic!("pending")
        };
        let RefreshDecision::Pending(second) = store.refresh_now(RefreshReason::InputChanged) else {
            panic!("pending")
        };
        store.store_value(ticket("one", 3600));
        assert!(store.wait_for(first, INTERVAL).await);
        assert!(*store.refresh_requested.borrow());
        store.attempt_started();
        store.store_value(ticket("two", 3600));
        assert!(store.wait_for(second, INTERVAL).await);
    }

    #[tokio::test(start_paused = true)]
    async fn store_ends_a_wait_at_its_limit_or_at_a_failure() {
        let store = Arc::new(empty());
        store.store_value(ticket("one", 3600));
        let RefreshDecision::Pending(attempt) = store.refresh_now(RefreshReason::Rejected(1)) else {
            panic!("pending")
        };
        let start = Instant::now();
        assert!(!store.wait_for(attempt, Duration::from_secs(2)).await);
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        store.attempt_started();
        store.attempt_failed(SourceError::new(SourceErrorKind::Connect, "down"));
        assert!(!store.wait_for(attempt, Duration::from_secs(600)).await);
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }
}
