//! The background task that keeps one token fresh: a loop, one fallible call, and the pure schedule.
//!
//! There is one refresher for each distinct credential and it makes one request at a time, so a thousand requests at
//! expiry are one token request. It never ends: every failure, whatever it was, is tried again.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::expiry::{ClockReading, Expiry};
use super::schedule;
use super::schedule::Failure;
use crate::oauth2::error::{SourceError, SourceErrorKind};
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::store::TokenStore;

/// How often a wait looks at the wall clock: the monotonic one stands still while a machine sleeps.
const CLOCK_CHECK_INTERVAL: Duration = Duration::from_secs(15);

/// A line about a credential that stays unusable for the same cause is repeated this often.
const REPEAT_INTERVAL: Duration = Duration::from_secs(600);

/// Keeps the token in `store` fresh, for ever. Where this is aborted, a token request under way goes on to its end.
/// `name` says in the log whose token it is.
pub async fn run(name: String, source: Arc<dyn TokenSource>, store: Arc<TokenStore>) {
    let mut lifetime = None;
    let mut monitor = ExpiryMonitor { name: &name, store: &store, is_usable: false };
    let mut log = FailureLog { name: &name, last: None };
    // Failures of the same class in a row.
    let mut row = (false, 0);
    loop {
        store.attempt_started();
        let fetched = monitor.during(fetch(&name, &source, &store)).await;
        let wait = match fetched {
            Ok(fresh) => {
                monitor.is_usable = true;
                lifetime = Some(fresh);
                log.last = None;
                row = (false, 0);
                schedule::refresh_in(fresh, fastrand::f64())
            }
            Err(error) => {
                let refused =
                    matches!(error.reason, SourceErrorKind::Refused | SourceErrorKind::LoginRequired);
                let retry_after = error.retry_after;
                store.attempt_failed(error.clone());
                row = (refused, if row.0 == refused { row.1 + 1 } else { 1 });
                let remaining = monitor.remaining();
                let failure = Failure { count: row.1, refused, retry_after, lifetime, remaining };
                let wait = schedule::retry_in(failure, fastrand::f64());
                log.report(&error, wait, remaining.is_some());
                wait
            }
        };
        store.next_attempt_in(wait);
        let paused = monitor.during(pause(Expiry::after(ClockReading::now(), wait)));
        tokio::select! {
            () = paused => {}
            () = store.refresh_requested() => {}
            () = source.changed() => {}
        }
    }
}

/// One token request; returns the new token's lifetime.
async fn fetch(
    name: &str,
    source: &Arc<dyn TokenSource>,
    store: &TokenStore,
) -> Result<Duration, SourceError> {
    // In a task of its own: not even a panic ends the refresher.
    let request = tokio::spawn({
        let source = source.clone();
        async move { source.fetch(None).await }
    });
    let broken =
        |_| SourceError::new(SourceErrorKind::Malformed, "the token request broke off inside Sidekey");
    let issued = request.await.map_err(broken)??;
    let remaining = issued.expiry.remaining();
    if remaining.is_zero() {
        // The token at hand may well live longer.
        return Err(SourceError::new(
            SourceErrorKind::Malformed,
            "the new token had expired before it arrived",
        ));
    }
    let (recovered, is_first) = (store.status().failures, store.never_issued());
    store.store_token(&issued).map_err(|_| {
        SourceError::new(SourceErrorKind::Malformed, "the access token cannot stand in a header")
    })?;
    if recovered > 0 || is_first {
        let lifetime = remaining.as_secs();
        let scopes = issued.scope.as_ref().map(|scope| scope.split_whitespace().count());
        let what = if is_first { "token obtained" } else { "token obtained again" };
        tracing::info!(
            service.name = name,
            token.lifetime.seconds = lifetime,
            token.scopes = scopes,
            token.failures = (recovered > 0).then_some(recovered),
            "{what}"
        );
    }
    // What is left counts: the answer took time, and an endpoint may hand out a token that is half used up.
    Ok(remaining)
}

/// Waits until either clock says that it is time.
async fn pause(due: Expiry) {
    while !due.is_past() {
        tokio::time::sleep(due.remaining().min(CLOCK_CHECK_INTERVAL)).await;
    }
}

/// Says once that a token has ended, because from then on requests are refused: while the next try is waited for, or
/// while it is under way.
struct ExpiryMonitor<'a> {
    name: &'a str,
    store: &'a TokenStore,
    is_usable: bool,
}

impl ExpiryMonitor<'_> {
    /// What is left of the current token, if it may still be sent.
    fn remaining(&self) -> Option<Duration> {
        self.store.current().and_then(|token| token.as_ref().map(|token| token.expiry.remaining()))
    }

    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        while self.is_usable {
            if let Some(remaining) = self.remaining() {
                tokio::select! {
                    done = &mut work => return done,
                    () = tokio::time::sleep(remaining) => {}
                }
            } else {
                self.is_usable = false;
                let status = self.store.status();
                let seconds = status.failing_for().unwrap_or_default().as_secs();
                let cause = match &status.last_error {
                    Some(error) => format!("for {seconds} s now: {error}"),
                    None => "the token request is still under way".into(),
                };
                tracing::error!(
                    service.name = self.name,
                    token.reason = status.last_error.as_ref().map(|error| error.reason.as_str()),
                    token.failures = status.failures,
                    "the token has expired and no new one could be obtained: requests get 503 ({cause})"
                );
            }
        }
        work.await
    }
}

/// One line per change of state, not per attempt; and now and then one more while nothing works.
struct FailureLog<'a> {
    name: &'a str,
    last: Option<(SourceError, Instant)>,
}

impl FailureLog<'_> {
    fn report(&mut self, error: &SourceError, wait: Duration, usable: bool) {
        if let Some((last, at)) = &self.last {
            let is_same = last.reason == error.reason && last.message == error.message;
            let is_due = !usable && at.elapsed() >= REPEAT_INTERVAL;
            if is_same && !is_due {
                return;
            }
        }
        self.last = Some((error.clone(), Instant::now()));
        let (name, reason, message) = (self.name, error.reason.as_str(), error.message.as_str());
        let retry = wait.as_secs_f64();
        if error.reason == SourceErrorKind::Refused {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth2::token::TokenResponse;
    use crate::secret::Secret;
    use async_trait::async_trait;
    use parking_lot::Mutex;

    const PANIC: &str = "panic";

    /// Answers as told, and notes when it was asked.
    struct Scripted {
        lifetime: Mutex<Duration>,
        down: Mutex<Option<SourceError>>,
        asked: Mutex<Vec<Instant>>,
    }

    #[async_trait]
    impl TokenSource for Scripted {
        async fn fetch(&self, _refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
            self.asked.lock().push(Instant::now());
            if let Some(error) = self.down.lock().clone() {
                assert_ne!(error.message, PANIC);
                return Err(error);
            }
            let access_token = Secret::new(format!("token-{}", self.asked.lock().len())).unwrap();
            Ok(TokenResponse {
                access_token,
                expiry: Expiry::after(ClockReading::now(), *self.lifetime.lock()),
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

    fn start(lifetime: Duration) -> (Arc<Scripted>, Arc<TokenStore>, Running) {
        let source = Arc::new(Scripted {
            lifetime: Mutex::new(lifetime),
            down: Mutex::default(),
            asked: Mutex::default(),
        });
        let store = Arc::new(TokenStore::new(Duration::from_secs(5)));
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
        *source.down.lock() = Some(SourceError::new(SourceErrorKind::ServerError, "503"));
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
        use SourceErrorKind::{Connect, Malformed, Refused};
        for (reason, message) in [(Malformed, "odd"), (Refused, "odd"), (Connect, "odd"), (Malformed, PANIC)]
        {
            let (source, store, _running) = start(Duration::from_secs(60));
            *source.down.lock() = Some(SourceError::new(reason, message));
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
        let asked_to_wait = SourceError {
            retry_after: Some(Duration::from_secs(120)),
            ..SourceError::new(SourceErrorKind::RateLimited, "429")
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
        let now = ClockReading::now();
        let slept =
            Expiry::after(now.with_wall_clock_back(2 * Duration::from_secs(3600)), Duration::from_secs(3600));
        tokio::time::timeout(Duration::from_secs(5), pause(slept)).await.unwrap();
    }
}
