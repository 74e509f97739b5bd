//! The background task that keeps one token fresh: a loop, one fallible call, and the pure schedule.
//!
//! There is one refresher for each distinct credential and it makes one request at a time, so a thousand requests at
//! expiry are one token request. It never ends: every failure, whatever it was, is tried again.

use std::sync::Arc;
use std::time::Duration;

use super::schedule::{self, Failure};
use super::{FetchError, FetchFailure, Store, TokenSource};

/// Keeps the token in `store` fresh, for ever. `name` says in the log whose token it is.
pub async fn run(name: String, source: Arc<dyn TokenSource>, store: Arc<Store>) {
    let mut lifetime = None;
    loop {
        let wait = match fetch(&name, &*source, &store).await {
            Ok(fresh) => {
                lifetime = Some(fresh);
                schedule::refresh_in(fresh, fastrand::f64())
            }
            Err(error) => {
                let (refused, retry_after) = (error.reason == FetchFailure::Refused, error.retry_after);
                let before = store.status().last_error;
                let count = store.failed(error.clone());
                let wait =
                    schedule::retry_in(Failure { count, refused, retry_after, lifetime }, fastrand::f64());
                report(&name, before.as_ref(), &error, wait, store.current().is_some());
                wait
            }
        };
        store.next_attempt_in(wait);
        sleep(&name, &store, wait).await;
    }
}

/// One token request; returns the new token's lifetime.
async fn fetch(name: &str, source: &dyn TokenSource, store: &Store) -> Result<Duration, FetchError> {
    let issued = source.fetch().await?;
    let recovered = store.status().failures;
    store
        .put(&issued)
        .map_err(|_| FetchError::new(FetchFailure::Malformed, "the access token cannot stand in a header"))?;
    if recovered > 0 {
        tracing::info!(service.name = name, token.failures = recovered, "token obtained again");
    }
    // What is left counts: the answer took time, and an endpoint may hand out a token that is half used up.
    Ok(issued.expiry.remaining())
}

/// Waits; a token that ends meanwhile is said once, because from then on requests are refused.
async fn sleep(name: &str, store: &Store, wait: Duration) {
    let until = tokio::time::Instant::now() + wait;
    let remaining = store.current().and_then(|token| token.as_ref().map(|token| token.expiry.remaining()));
    if let Some(remaining) = remaining.filter(|remaining| *remaining < wait) {
        tokio::time::sleep(remaining).await;
        tracing::error!(
            service.name = name,
            "the token has expired and no new one could be obtained: requests get 503"
        );
    }
    tokio::time::sleep_until(until).await;
}

/// One line per change of state, not per attempt.
fn report(name: &str, before: Option<&FetchError>, error: &FetchError, wait: Duration, usable: bool) {
    if before.is_some_and(|before| before.reason == error.reason && before.message == error.message) {
        return;
    }
    let (reason, message, retry) = (error.reason.as_str(), error.message.as_str(), wait.as_secs_f64());
    if error.reason == FetchFailure::Refused {
        tracing::error!(
            service.name = name,
            token.reason = reason,
            token.usable = usable,
            retry.seconds = retry,
            "token refused: {message}"
        );
    } else {
        tracing::warn!(
            service.name = name,
            token.reason = reason,
            token.usable = usable,
            retry.seconds = retry,
            "token not obtained: {message}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::token::expiry::Moment;
    use crate::token::{Expiry, Issued};
    use async_trait::async_trait;
    use parking_lot::Mutex;
    use tokio::time::Instant;

    /// Answers as told, and notes when it was asked.
    struct Scripted {
        lifetime: Duration,
        down: Mutex<Option<FetchError>>,
        asked: Mutex<Vec<Instant>>,
    }

    #[async_trait]
    impl TokenSource for Scripted {
        async fn fetch(&self) -> Result<Issued, FetchError> {
            self.asked.lock().push(Instant::now());
            if let Some(error) = self.down.lock().clone() {
                return Err(error);
            }
            let access_token = Secret::new(format!("token-{}", self.asked.lock().len())).unwrap();
            Ok(Issued { access_token, expiry: Expiry::after(Moment::now(), self.lifetime), scope: None })
        }
    }

    /// A refresher that stops when this is dropped: on a paused clock it would go on for years.
    struct Running(tokio::task::JoinHandle<()>);

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.abort();
        }
    }

    fn start(lifetime: Duration) -> (Arc<Scripted>, Arc<Store>, Running) {
        let source = Arc::new(Scripted { lifetime, down: Mutex::default(), asked: Mutex::default() });
        let store = Arc::new(Store::new());
        let running = tokio::spawn(run("test".into(), source.clone(), store.clone()));
        (source, store, Running(running))
    }

    /// Real time hardly passes while tokio's clock is paused, so only the monotonic clock ends a token here.
    #[tokio::test(start_paused = true)]
    async fn requests_to_the_endpoint_match_the_schedule() {
        for lifetime in [1, 10, 60, 3600, 86_400, 30 * 86_400] {
            let lifetime = Duration::from_secs(lifetime);
            let (source, store, _running) = start(lifetime);
            tokio::time::sleep(lifetime * 20).await;
            let asked = source.asked.lock().len();
            assert!((23..=28).contains(&asked), "{asked} requests in 20 lifetimes of {lifetime:?}");
            assert!(store.current().is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_the_valid_token_while_the_endpoint_is_down_then_none_then_recovers_within_one_step() {
        let (source, store, _running) = start(Duration::from_secs(60));
        tokio::time::sleep(Duration::from_secs(40)).await;
        *source.down.lock() = Some(FetchError::new(FetchFailure::ServerError, "503"));
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert!(store.current().is_some(), "valid until its expiry");
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(store.current().is_none(), "never past it");
        assert!(store.status().next_attempt_in() <= Duration::from_secs(15));
        *source.down.lock() = None;
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert!(store.current().is_some(), "back within one step of the back-off");
    }

    #[tokio::test(start_paused = true)]
    async fn never_stops_whatever_the_answer() {
        for reason in [FetchFailure::Malformed, FetchFailure::Refused, FetchFailure::Connect] {
            let (source, store, _running) = start(Duration::from_secs(60));
            *source.down.lock() = Some(FetchError::new(reason, "odd"));
            tokio::time::sleep(Duration::from_secs(86_400)).await;
            let asked = source.asked.lock().len();
            assert!(asked > 500, "{asked} tries in a day of {reason:?}");
            *source.down.lock() = None;
            tokio::time::sleep(Duration::from_secs(300)).await;
            assert!(store.current().is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn honours_retry_after() {
        let (source, _store, _running) = start(Duration::from_secs(60));
        let asked_to_wait = FetchError {
            retry_after: Some(Duration::from_secs(120)),
            ..FetchError::new(FetchFailure::RateLimited, "429")
        };
        *source.down.lock() = Some(asked_to_wait);
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        let asked = source.asked.lock().clone();
        for pair in asked.windows(2).skip(1) {
            assert!(pair[1] - pair[0] >= Duration::from_secs(120));
        }
    }
}
