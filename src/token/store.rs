//! The current token of one credential: read without a lock by every request, written by its refresher alone.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwapOption, Guard};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{FetchError, Issued, Token, expiry};
use crate::secret::InvalidSecret;

/// Holds the current token and what is known of the next.
pub struct Store {
    current: ArcSwapOption<Token>,
    generation: watch::Sender<u64>,
    status: Mutex<Status>,
}

/// What the refresher last did and will do next; read by readiness, metrics, the status page and error answers.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Token requests that failed since the last success.
    pub failures: u32,
    /// Why the last one failed.
    pub last_error: Option<FetchError>,
    /// When a token was last obtained.
    pub last_success: Option<SystemTime>,
    /// When the next token request is due.
    pub next_attempt: Option<Instant>,
}

impl Store {
    /// Without a token yet.
    pub fn new() -> Self {
        Self { current: ArcSwapOption::empty(), generation: watch::Sender::new(0), status: Mutex::default() }
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
        let mut generation = self.generation.subscribe();
        let first = generation.wait_for(|generation| *generation > 0);
        // Whether the time was up or the token came: the caller looks at `current` again.
        let _ = tokio::time::timeout(limit, first).await;
    }

    /// Whether a token was ever obtained.
    pub fn is_fresh(&self) -> bool {
        *self.generation.borrow() == 0
    }

    /// Takes a newly issued token as the current one.
    pub(super) fn put(&self, issued: &Issued) -> Result<(), InvalidSecret> {
        let generation = *self.generation.borrow() + 1;
        self.current.store(Some(Arc::new(Token::new(issued, generation)?)));
        {
            let mut status = self.status.lock();
            status.failures = 0;
            status.last_error = None;
            status.last_success = Some(SystemTime::now());
        }
        self.generation.send_replace(generation);
        Ok(())
    }

    /// Notes a failed token request and returns how many there were in a row. The current token stays.
    pub(super) fn failed(&self, error: FetchError) -> u32 {
        let mut status = self.status.lock();
        status.failures = status.failures.saturating_add(1);
        status.last_error = Some(error);
        status.failures
    }

    /// Notes when the next token request is due.
    pub(super) fn next_attempt_in(&self, wait: Duration) {
        self.status.lock().next_attempt = Some(Instant::now() + wait);
    }

    /// A copy of what is known.
    pub fn status(&self) -> Status {
        self.status.lock().clone()
    }

    /// When the current token expires (Unix time), usable or not.
    pub fn expiry_unix_seconds(&self) -> Option<f64> {
        self.current.load().as_ref().map(|token| token.expiry.unix_seconds())
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Status {
    /// How long until the next token request: what a caller is told in `Retry-After`.
    pub fn next_attempt_in(&self) -> Duration {
        self.next_attempt.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()))
    }

    /// `next_attempt` as Unix time.
    pub fn next_attempt_unix_seconds(&self) -> Option<f64> {
        self.next_attempt.map(|_| expiry::unix_seconds(SystemTime::now() + self.next_attempt_in()))
    }

    /// `last_success` as Unix time.
    pub fn last_success_unix_seconds(&self) -> Option<f64> {
        self.last_success.map(expiry::unix_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::token::expiry::Moment;
    use crate::token::{Expiry, FetchFailure};

    fn issued(value: &str, lifetime: u64) -> Issued {
        Issued {
            access_token: Secret::new(value.into()).unwrap(),
            expiry: Expiry::after(Moment::now(), Duration::from_secs(lifetime)),
            scope: None,
            refresh_token: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn never_hands_out_an_expired_token_and_keeps_a_valid_one_through_failures() {
        let store = Store::new();
        assert!(store.current().is_none());
        store.put(&issued("one", 10)).unwrap();
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(store.failed(FetchError::new(FetchFailure::Timeout, "slow")), 1);
        assert_eq!(store.current().unwrap().as_ref().unwrap().header, "Bearer one");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(store.current().is_none());
        store.put(&issued("two", 10)).unwrap();
        assert_eq!(store.current().unwrap().as_ref().unwrap().generation, 2);
        assert_eq!(store.status().failures, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_requests_wait_for_the_first_token_and_no_longer_than_they_may() {
        let store = Arc::new(Store::new());
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
        store.put(&issued("one", 10)).unwrap();
        for request in waiting {
            assert!(request.await.unwrap());
        }
        let empty = Store::new();
        empty.wait_for_first(Duration::from_secs(5)).await;
        assert!(empty.current().is_none());
    }

    #[test]
    fn the_token_is_sensitive_and_does_not_print_itself() {
        let token = Token::new(&issued("CANARY", 10), 1).unwrap();
        assert!(token.header.is_sensitive());
        assert!(!format!("{token:?} {:?} {:?}", token.header, issued("CANARY", 10)).contains("CANARY"));
    }
}
