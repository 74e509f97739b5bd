//! The current token of one credential: read without a lock by every request, written by its refresher alone.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwapOption, Guard};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::dpop_key::DpopKey;
use crate::oauth2::error::SourceError;
use crate::oauth2::expiry;
use crate::oauth2::expiry::Expiry;
use crate::oauth2::token::{Token, TokenResponse};
use crate::secret::InvalidSecret;

/// Holds the current token and what is known of the next.
pub struct TokenStore {
    current: ArcSwapOption<Token>,
    progress: watch::Sender<Progress>,
    /// Somebody wants a token request now.
    refresh_requested: watch::Sender<bool>,
    /// No two refreshes that were forced are closer than this.
    min_interval: Duration,
    status: Mutex<RefreshStatus>,
    dpop_key: Option<Arc<DpopKey>>,
}

/// How far the refresher has come.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// Tokens obtained.
    generation: u64,
    /// Token requests ended, well or not.
    attempts: u64,
}

/// What the refresher last did and will do next; read by readiness, metrics, the status page and error answers.
#[derive(Debug, Clone, Default)]
pub struct RefreshStatus {
    /// Token requests that failed since the last success.
    pub failures: u32,
    /// Why the last one failed.
    pub last_error: Option<SourceError>,
    /// When the first of them failed.
    pub failing_since: Option<SystemTime>,
    /// When a token was last obtained.
    pub last_success: Option<SystemTime>,
    /// When the next token request is due.
    pub next_attempt: Option<Instant>,
    /// Whether a token request is under way.
    pub in_flight: bool,
    /// When a refresh was last forced.
    last_forced: Option<Instant>,
}

/// Why a token is to be refreshed before it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshReason {
    /// The upstream refused the token of this generation.
    Rejected(u64),
    /// Somebody asked for it.
    Requested,
    /// What a token request is made with has changed: a secret, a login. Neither back-off nor interval delays this.
    InputChanged,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshDecision {
    /// There is a newer token already than the one that was refused.
    AlreadyNewer,
    /// A token request is under way or begins now: [`TokenStore::wait_for`] waits for its end.
    Pending(Attempt),
    /// None: one was forced less than the interval ago, or the endpoint is failing and is asked again when its back-off ends.
    Throttled,
}

/// A token request that somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    generation: u64,
    attempts: u64,
}

impl TokenStore {
    /// Without a token yet, for tokens that are sent with a proof where there is a prover.
    pub fn with(min_interval: Duration, dpop_key: Option<Arc<DpopKey>>) -> Self {
        Self { dpop_key, ..Self::new(min_interval) }
    }

    /// What makes the proofs, for tokens that are bound to a key.
    pub fn dpop_key(&self) -> Option<&Arc<DpopKey>> {
        self.dpop_key.as_ref()
    }

    /// Without a token yet. A refresh is forced at most once in `min_interval`, so that an upstream that refuses every token
    /// cannot drive the token endpoint.
    pub fn new(min_interval: Duration) -> Self {
        Self {
            current: ArcSwapOption::empty(),
            progress: watch::Sender::default(),
            refresh_requested: watch::Sender::new(false),
            min_interval,
            status: Mutex::default(),
            dpop_key: None,
        }
    }

    /// The current token, if it may still be sent. Lock-free.
    pub fn current(&self) -> Option<Guard<Option<Arc<Token>>>> {
        let guard = self.current.load();
        match &*guard {
            Some(token) if !token.expiry.is_past() => Some(guard),
            _ => None,
        }
    }

    /// Waits until there was a first token, `limit` at most; returns at once if there ever was one.
    pub async fn wait_for_first(&self, limit: Duration) {
        let mut progress = self.progress.subscribe();
        let first = progress.wait_for(|progress| progress.generation > 0);
        // Whether the time was up or the token came: the caller looks at `current` again.
        let _ = tokio::time::timeout(limit, first).await;
    }

    /// Whether a token was ever obtained.
    pub fn never_issued(&self) -> bool {
        self.progress.borrow().generation == 0
    }

    /// Asks for a token now rather than when it is due. Whoever calls this at the same time, and however often, it is one
    /// token request; and none where the refused token is no longer the current one.
    ///
    /// Does not wait; callable from any thread.
    pub fn refresh_now(&self, why: RefreshReason) -> RefreshDecision {
        let mut status = self.status.lock();
        let Progress { generation, attempts } = *self.progress.borrow();
        if matches!(why, RefreshReason::Rejected(refused) if refused < generation) {
            return RefreshDecision::AlreadyNewer;
        }
        let attempt = Attempt { generation, attempts };
        let is_joined =
            why != RefreshReason::InputChanged && (status.in_flight || *self.refresh_requested.borrow());
        if is_joined {
            return RefreshDecision::Pending(attempt);
        }
        let is_soon = status.last_forced.is_some_and(|last| last.elapsed() < self.min_interval);
        match why {
            RefreshReason::Rejected(_) if is_soon || status.failures > 0 => {
                return RefreshDecision::Throttled;
            }
            RefreshReason::Requested if is_soon => return RefreshDecision::Throttled,
            _ => {}
        }
        status.last_forced = Some(Instant::now());
        self.refresh_requested.send_replace(true);
        // One under way may have been made with what was there before.
        let attempts = attempts + u64::from(status.in_flight);
        RefreshDecision::Pending(Attempt { attempts, ..attempt })
    }

    /// Waits for the end of a token request, `limit` at most; returns whether it brought a new token.
    pub async fn wait_for(&self, attempt: Attempt, limit: Duration) -> bool {
        let mut progress = self.progress.subscribe();
        let ended = progress.wait_for(|now| now.attempts > attempt.attempts);
        let _ = tokio::time::timeout(limit, ended).await;
        self.progress.borrow().generation > attempt.generation
    }

    /// Waits until `is_done`, which is evaluated now and after every token request.
    pub async fn wait_until(&self, is_done: impl Fn() -> bool) {
        let mut progress = self.progress.subscribe();
        while !is_done() {
            // Cannot fail: the sender lives as long as the store.
            let _ = progress.changed().await;
        }
    }

    /// No two refreshes that were forced are closer than this.
    pub fn min_interval(&self) -> Duration {
        self.min_interval
    }

    /// Until somebody wants a token request.
    pub(crate) async fn refresh_requested(&self) {
        let _ = self.refresh_requested.subscribe().wait_for(|refresh_requested| *refresh_requested).await;
    }

    /// A token request begins.
    pub(crate) fn attempt_started(&self) {
        let mut status = self.status.lock();
        status.in_flight = true;
        self.refresh_requested.send_replace(false);
    }

    /// Takes a newly issued token as the current one.
    pub(crate) fn store_token(&self, issued: &TokenResponse) -> Result<(), InvalidSecret> {
        let generation = self.progress.borrow().generation + 1;
        let token = Arc::new(Token::new(issued, generation, self.dpop_key.is_some())?);
        // Locked before it can be used: it cannot be refused before its generation is known.
        let mut status = self.status.lock();
        self.current.store(Some(token));
        status.failures = 0;
        status.last_error = None;
        status.failing_since = None;
        status.last_success = Some(SystemTime::now());
        // With the new token in place: whoever finds that one refused does not join the request that brought it.
        status.in_flight = false;
        self.progress
            .send_modify(|progress| *progress = Progress { generation, attempts: progress.attempts + 1 });
        Ok(())
    }

    /// Notes a failed token request and returns how many there were in a row. The current token stays.
    pub(crate) fn attempt_failed(&self, error: SourceError) -> u32 {
        let mut status = self.status.lock();
        status.failures = status.failures.saturating_add(1);
        status.last_error = Some(error);
        status.failing_since.get_or_insert_with(SystemTime::now);
        status.in_flight = false;
        self.progress.send_modify(|progress| progress.attempts += 1);
        status.failures
    }

    /// Notes when the next token request is due.
    pub(crate) fn next_attempt_in(&self, wait: Duration) {
        self.status.lock().next_attempt = Some(Instant::now() + wait);
    }

    /// A copy of what is known.
    pub fn status(&self) -> RefreshStatus {
        self.status.lock().clone()
    }

    /// Expiry of the current token, usable or not.
    pub fn expiry(&self) -> Option<Expiry> {
        self.current.load().as_ref().map(|token| token.expiry)
    }

    /// When the current token expires (Unix time), usable or not.
    pub fn expiry_unix_seconds(&self) -> Option<f64> {
        self.current.load().as_ref().map(|token| token.expiry.unix_seconds())
    }
}

impl RefreshStatus {
    /// How long until the next token request: what a caller is told in `Retry-After`.
    pub fn next_attempt_in(&self) -> Duration {
        self.next_attempt.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()))
    }

    /// `next_attempt` by the wall clock.
    pub fn next_attempt_wall(&self) -> Option<SystemTime> {
        self.next_attempt.map(|_| SystemTime::now() + self.next_attempt_in())
    }

    /// For how long token requests have been failing.
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
    use crate::oauth2::error::SourceErrorKind;
    use crate::oauth2::expiry::ClockReading;
    use crate::secret::Secret;

    const INTERVAL: Duration = Duration::from_secs(5);

    fn issued(value: &str, lifetime: u64) -> TokenResponse {
        TokenResponse {
            access_token: Secret::new(value.into()).unwrap(),
            expiry: Expiry::after(ClockReading::now(), Duration::from_secs(lifetime)),
            scope: None,
            refresh_token: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn never_hands_out_an_expired_token_and_keeps_a_valid_one_through_failures() {
        let store = TokenStore::new(INTERVAL);
        assert!(store.current().is_none());
        store.store_token(&issued("one", 10)).unwrap();
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(store.attempt_failed(SourceError::new(SourceErrorKind::Timeout, "slow")), 1);
        assert_eq!(store.current().unwrap().as_ref().unwrap().header, "Bearer one");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(store.current().is_none());
        store.store_token(&issued("two", 10)).unwrap();
        assert_eq!(store.current().unwrap().as_ref().unwrap().generation, 2);
        assert_eq!(store.status().failures, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_requests_wait_for_the_first_token_and_no_longer_than_they_may() {
        let store = Arc::new(TokenStore::new(INTERVAL));
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
        store.store_token(&issued("one", 10)).unwrap();
        for request in waiting {
            assert!(request.await.unwrap());
        }
        let empty = TokenStore::new(INTERVAL);
        empty.wait_for_first(Duration::from_secs(5)).await;
        assert!(empty.current().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_refusals_of_one_token_are_one_request_and_late_ones_are_none() {
        let store = Arc::new(TokenStore::new(INTERVAL));
        store.store_token(&issued("one", 3600)).unwrap();
        let waiting: Vec<_> = (0..1000)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let RefreshDecision::Pending(attempt) = store.refresh_now(RefreshReason::Rejected(1))
                    else {
                        panic!("to be waited for")
                    };
                    store.wait_for(attempt, INTERVAL).await
                })
            })
            .collect();
        store.refresh_requested().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        store.attempt_started();
        assert!(!*store.refresh_requested.borrow(), "one begin takes them all");
        store.store_token(&issued("two", 3600)).unwrap();
        for request in waiting {
            assert!(request.await.unwrap());
        }
        assert_eq!(store.refresh_now(RefreshReason::Rejected(1)), RefreshDecision::AlreadyNewer);
        assert!(!*store.refresh_requested.borrow(), "a late one is nobody's business");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_is_forced_once_in_the_interval_and_not_against_a_back_off() {
        let store = TokenStore::new(INTERVAL);
        let forced = |why, issue: Option<&str>| {
            let refresh = store.refresh_now(why);
            if *store.refresh_requested.borrow() {
                store.attempt_started();
                match issue {
                    Some(value) => store.store_token(&issued(value, 3600)).unwrap(),
                    None => drop(store.attempt_failed(SourceError::new(SourceErrorKind::Connect, "down"))),
                }
            }
            matches!(refresh, RefreshDecision::Pending(_))
        };
        store.store_token(&issued("one", 3600)).unwrap();
        assert!(forced(RefreshReason::Rejected(1), Some("two")));
        assert!(
            !forced(RefreshReason::Rejected(2), Some("three"))
                && !forced(RefreshReason::Requested, Some("three"))
        );
        tokio::time::sleep(INTERVAL).await;
        assert!(forced(RefreshReason::Rejected(2), None));
        tokio::time::sleep(INTERVAL).await;
        assert!(!forced(RefreshReason::Rejected(2), Some("three")), "the endpoint is given its back-off");
        assert!(forced(RefreshReason::Requested, None));
        assert!(forced(RefreshReason::InputChanged, Some("three")), "never too soon for what may help");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_during_a_request_is_another_request() {
        let store = TokenStore::new(INTERVAL);
        store.attempt_started();
        let RefreshDecision::Pending(first) = store.refresh_now(RefreshReason::Requested) else {
            panic!("under way")
        };
        let RefreshDecision::Pending(second) = store.refresh_now(RefreshReason::InputChanged) else {
            panic!("expected")
        };
        store.store_token(&issued("one", 3600)).unwrap();
        assert!(store.wait_for(first, INTERVAL).await);
        assert!(*store.refresh_requested.borrow());
        store.attempt_started();
        store.store_token(&issued("two", 3600)).unwrap();
        assert!(store.wait_for(second, INTERVAL).await);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_told_of_a_failure_and_waits_no_longer_than_it_may() {
        let store = Arc::new(TokenStore::new(INTERVAL));
        store.store_token(&issued("one", 3600)).unwrap();
        let RefreshDecision::Pending(attempt) = store.refresh_now(RefreshReason::Rejected(1)) else {
            panic!("expected")
        };
        let start = Instant::now();
        assert!(!store.wait_for(attempt, Duration::from_secs(2)).await);
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        store.attempt_started();
        store.attempt_failed(SourceError::new(SourceErrorKind::Connect, "down"));
        assert!(!store.wait_for(attempt, Duration::from_secs(600)).await);
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }

    #[test]
    fn the_token_is_sensitive_and_does_not_print_itself() {
        let token = Token::new(&issued("CANARY", 10), 1, false).unwrap();
        assert!(token.header.is_sensitive());
        assert!(!format!("{token:?} {:?} {:?}", token.header, issued("CANARY", 10)).contains("CANARY"));
    }
}
