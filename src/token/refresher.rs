//! The background task that keeps one token fresh: a loop, one fallible call, and the pure schedule.
//!
//! There is one refresher for each distinct credential and it makes one request at a time, so a thousand requests at
//! expiry are one token request. It never ends: every failure, whatever it was, is tried again.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::expiry::{Expiry, Moment};
use super::schedule::{self, Failure};
use super::{FetchError, FetchFailure, Store, TokenSource};

/// How often a wait looks at the wall clock: the monotonic one stands still while a machine sleeps.
const CLOCK_CHECK: Duration = Duration::from_secs(15);

/// Keeps the token in `store` fresh, for ever. `name` says in the log whose token it is.
pub async fn run(name: String, source: Arc<dyn TokenSource>, store: Arc<Store>) {
    let mut lifetime = None;
    let mut watch = Watch { name: &name, store: &store, is_usable: false };
    loop {
        let wait = match watch.during(fetch(&name, &source, &store)).await {
            Ok(fresh) => {
                watch.is_usable = true;
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
        watch.during(pause(Expiry::after(Moment::now(), wait))).await;
    }
}

/// One token request; returns the new token's lifetime.
async fn fetch(name: &str, source: &Arc<dyn TokenSource>, store: &Store) -> Result<Duration, FetchError> {
    // In a task of its own: not even a panic ends the refresher.
    let request = tokio::spawn({
        let source = source.clone();
        async move { source.fetch().await }
    });
    let broken = |_| FetchError::new(FetchFailure::Malformed, "the token request broke off inside Sidekey");
    let issued = request.await.map_err(broken)??;
    let remaining = issued.expiry.remaining();
    if remaining.is_zero() {
        // The token at hand may well live longer.
        return Err(FetchError::new(FetchFailure::Malformed, "the new token had expired before it arrived"));
    }
    let recovered = store.status().failures;
    store
        .put(&issued)
        .map_err(|_| FetchError::new(FetchFailure::Malformed, "the access token cannot stand in a header"))?;
    if recovered > 0 {
        tracing::info!(service.name = name, token.failures = recovered, "token obtained again");
    }
    // What is left counts: the answer took time, and an endpoint may hand out a token that is half used up.
    Ok(remaining)
}

/// Waits until either clock says that it is time.
async fn pause(due: Expiry) {
    while !due.is_past() {
        tokio::time::sleep(due.remaining().min(CLOCK_CHECK)).await;
    }
}

/// Says once that a token has ended, because from then on requests are refused: while the next try is waited for, or
/// while it is under way.
struct Watch<'a> {
    name: &'a str,
    store: &'a Store,
    is_usable: bool,
}

impl Watch<'_> {
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        while self.is_usable {
            let remaining =
                self.store.current().and_then(|token| token.as_ref().map(|token| token.expiry.remaining()));
            if let Some(remaining) = remaining {
                tokio::select! {
                    done = &mut work => return done,
                    () = tokio::time::sleep(remaining) => {}
                }
            } else {
                self.is_usable = false;
                tracing::error!(
                    service.name = self.name,
                    "the token has expired and no new one could be obtained: requests get 503"
                );
            }
        }
        work.await
    }
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
    use crate::token::Issued;
    use async_trait::async_trait;
    use parking_lot::Mutex;
    use tokio::time::Instant;

    const PANIC: &str = "panic";

    /// Answers as told, and notes when it was asked.
    struct Scripted {
        lifetime: Mutex<Duration>,
        down: Mutex<Option<FetchError>>,
        asked: Mutex<Vec<Instant>>,
    }

    #[async_trait]
    impl TokenSource for Scripted {
        async fn fetch(&self) -> Result<Issued, FetchError> {
            self.asked.lock().push(Instant::now());
            if let Some(error) = self.down.lock().clone() {
                assert_ne!(error.message, PANIC);
                return Err(error);
            }
            let access_token = Secret::new(format!("token-{}", self.asked.lock().len())).unwrap();
            Ok(Issued {
                access_token,
                expiry: Expiry::after(Moment::now(), *self.lifetime.lock()),
                scope: None,
                refresh_token: None,
            })
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
        let source = Arc::new(Scripted {
            lifetime: Mutex::new(lifetime),
            down: Mutex::default(),
            asked: Mutex::default(),
        });
        let store = Arc::new(Store::new());
        let running = tokio::spawn(run("test".into(), source.clone(), store.clone()));
        (source, store, Running(running))
    }

    /// Real time hardly passes while tokio's clock is paused, so only the monotonic clock ends a token here.
    #[tokio::test(start_paused = true)]
    async fn requests_to_the_endpoint_match_the_schedule() {
        for lifetime in [1, 10, 60, 3600, 86_400] {
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
        use FetchFailure::{Connect, Malformed, Refused};
        for (reason, message) in [(Malformed, "odd"), (Refused, "odd"), (Connect, "odd"), (Malformed, PANIC)]
        {
            let (source, store, _running) = start(Duration::from_secs(60));
            *source.down.lock() = Some(FetchError::new(reason, message));
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

    #[tokio::test(start_paused = true)]
    async fn a_token_that_expired_on_its_way_does_not_replace_a_valid_one() {
        let (source, store, _running) = start(Duration::from_secs(60));
        tokio::time::sleep(Duration::from_secs(40)).await;
        *source.lifetime.lock() = Duration::ZERO;
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert!(source.asked.lock().len() > 1);
        assert!(store.current().is_some(), "valid until its own expiry");
        assert!(store.status().last_error.is_some(), "and the cause is known");
    }

    #[tokio::test]
    async fn a_machine_that_slept_through_the_due_time_asks_at_once() {
        let now = Moment::now();
        let slept =
            Expiry::after(now.with_wall_clock_back(2 * Duration::from_secs(3600)), Duration::from_secs(3600));
        tokio::time::timeout(Duration::from_secs(5), pause(slept)).await.unwrap();
    }
}
