//! The background task that keeps one value fresh: a loop, one fallible call, and the pure schedule.
//!
//! There is one refresher for each distinct credential and it makes one attempt at a time, so that a thousand
//! requests at expiry result in one attempt. It never ends: every failure, whatever its kind, is followed by
//! a retry.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::{SourceError, SourceErrorKind};
use super::expiry::{ClockReading, Expiring, Expiry};
use super::schedule;
use super::schedule::Failure;
use super::source::Source;
use super::store::Store;

/// How often a wait reads the wall clock: the monotonic one stops while a machine sleeps.
const CLOCK_CHECK_INTERVAL: Duration = Duration::from_secs(15);

/// How often the log repeats that a credential is unusable for the same cause.
const REPEAT_INTERVAL: Duration = Duration::from_secs(600);

/// Keeps the value in `store` fresh and never returns. If the task is aborted, an attempt in progress is
/// still completed. `service` names the services that use the value, for the log.
pub async fn run<T: Expiring>(service: String, source: Arc<dyn Source<T>>, store: Arc<Store<T>>) {
    let mut lifetime = None;
    let mut monitor = ExpiryMonitor { service: &service, store: &store, is_usable: false };
    let mut log = FailureLog { service: &service, value: T::NAME, last: None };
    // Whether the last failure needs intervention, and the number of consecutive failures of that class.
    let mut row = (false, 0);
    loop {
        store.attempt_started();
        let fetched = monitor.during(fetch(&service, &source, &store)).await;
        let wait = match fetched {
            Ok(fresh) => {
                monitor.is_usable = true;
                lifetime = Some(fresh);
                log.last = None;
                row = (false, 0);
                schedule::refresh_in(fresh, fastrand::f64())
            }
            Err(error) => {
                let refused = error.kind.needs_intervention();
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

/// Makes one attempt. Returns the lifetime of the new value.
async fn fetch<T: Expiring>(
    service: &str,
    source: &Arc<dyn Source<T>>,
    store: &Store<T>,
) -> Result<Duration, SourceError> {
    let malformed = |message: String| SourceError::new(SourceErrorKind::Malformed, message);
    // In a task of its own: not even a panic ends the refresher.
    let attempt = tokio::spawn({
        let source = source.clone();
        async move { source.fetch().await }
    });
    let value = attempt
        .await
        .map_err(|_| malformed(format!("the {} request broke off inside Sidekey", T::NAME)))??;
    let remaining = value.expiry().remaining();
    if remaining.is_zero() {
        // The current value may well live longer.
        return Err(malformed(format!("the new {} had expired before it arrived", T::NAME)));
    }
    let (failures, is_first) = (store.status().failures, store.never_issued());
    let scopes = value.scope_count();
    store.store_value(value);
    if failures > 0 || is_first {
        let again = if is_first { "" } else { " again" };
        tracing::info!(
            sidekey.service = service,
            token.lifetime_s = remaining.as_secs(),
            token.scope_count = scopes,
            token.failures = (failures > 0).then_some(failures),
            "{} obtained{again}",
            T::NAME
        );
    }
    // What is left counts: the answer took time, and a server may hand out a value that is half used up.
    Ok(remaining)
}

/// Waits until either clock has reached `due`.
async fn pause(due: Expiry) {
    while !due.is_past() {
        tokio::time::sleep(due.remaining().min(CLOCK_CHECK_INTERVAL)).await;
    }
}

/// Logs once that the current value has expired, because from then on requests are rejected: while the
/// refresher waits for the next attempt, or while an attempt is in progress.
struct ExpiryMonitor<'a, T> {
    service: &'a str,
    store: &'a Store<T>,
    is_usable: bool,
}

impl<T: Expiring> ExpiryMonitor<'_, T> {
    /// Time left of the current value, if it has not expired.
    fn remaining(&self) -> Option<Duration> {
        self.store.current().and_then(|value| value.as_ref().map(|value| value.expiry().remaining()))
    }

    /// Runs `work` and monitors the expiry meanwhile.
    async fn during<R>(&mut self, work: impl Future<Output = R>) -> R {
        let mut work = pin!(work);
        while self.is_usable {
            if let Some(remaining) = self.remaining() {
                tokio::select! {
                    done = &mut work => return done,
                    () = tokio::time::sleep(remaining) => {}
                }
            } else {
                self.is_usable = false;
                self.report();
            }
        }
        work.await
    }

    fn report(&self) {
        let status = self.store.status();
        let seconds = status.failing_for().unwrap_or_default().as_secs();
        let cause = match &status.last_error {
            Some(error) => format!("for {seconds} s now: {error}"),
            None => format!("the {} request has not finished", T::NAME),
        };
        tracing::error!(
            sidekey.service = self.service,
            token.reason = status.last_error.as_ref().map(|error| error.kind.as_str()),
            token.failures = status.failures,
            "{} expired and no new one could be obtained: requests get 503 ({cause})",
            T::NAME
        );
    }
}

/// Logs failures: one event for each change of the cause, not for each attempt, and a repetition at intervals
/// while no value can be used.
struct FailureLog<'a> {
    service: &'a str,
    value: &'static str,
    last: Option<(SourceError, Instant)>,
}

impl FailureLog<'_> {
    fn report(&mut self, error: &SourceError, wait: Duration, usable: bool) {
        if let Some((last, at)) = &self.last {
            let is_same = last.kind == error.kind && last.message == error.message;
            let is_due = !usable && at.elapsed() >= REPEAT_INTERVAL;
            if is_same && !is_due {
                return;
            }
        }
        self.last = Some((error.clone(), Instant::now()));
        let (value, reason, message) = (self.value, error.kind.as_str(), error.message.as_str());
        let retry = wait.as_secs_f64();
        if error.kind == SourceErrorKind::Refused {
            tracing::error!(
                sidekey.service = self.service,
                token.reason = reason,
                token.usable = usable,
                token.retry_s = retry,
                "{value} refused: {message}"
            );
        } else {
            tracing::warn!(
                sidekey.service = self.service,
                token.reason = reason,
                token.usable = usable,
                token.retry_s = retry,
                "{value} not obtained: {message}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refresh::store::{RefreshDecision, RefreshReason};
    use async_trait::async_trait;
    use parking_lot::Mutex;

    const PANIC: &str = "panic";

    /// A value that knows nothing of OAuth2.
    struct Ticket(Expiry);

    impl Expiring for Ticket {
        const NAME: &'static str = "ticket";

        fn expiry(&self) -> Expiry {
            self.0
        }
    }

    /// Responds as told, and records when it was called.
    struct Scripted {
        lifetime: Mutex<Duration>,
        down: Mutex<Option<SourceError>>,
        calls: Mutex<Vec<Instant>>,
    }

    #[async_trait]
    impl Source<Ticket> for Scripted {
        async fn fetch(&self) -> Result<Ticket, SourceError> {
            self.calls.lock().push(Instant::now());
            if let Some(error) = self.down.lock().clone() {
                assert_ne!(error.message, PANIC);
                return Err(error);
            }
            Ok(Ticket(Expiry::after(ClockReading::now(), *self.lifetime.lock())))
        }
    }

    /// A refresher that stops when this is dropped: on a paused clock it would run for years.
    struct Running(tokio::task::JoinHandle<()>);

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.abort();
        }
    }

    fn start(lifetime: Duration) -> (Arc<Scripted>, Arc<Store<Ticket>>, Running) {
        let source = Arc::new(Scripted {
            lifetime: Mutex::new(lifetime),
            down: Mutex::default(),
            calls: Mutex::default(),
        });
        let store = Arc::new(Store::new(Duration::from_secs(5)));
        let running = tokio::spawn(run("test".into(), source.clone(), store.clone()));
        (source, store, Running(running))
    }

    /// Real time hardly passes while tokio's clock is paused, so that only the monotonic clock ends a value
    /// here.
    #[tokio::test(start_paused = true)]
    async fn refresher_calls_the_source_as_the_schedule_says() {
        for lifetime in [1, 10, 60, 3600, 86_400] {
            let lifetime = Duration::from_secs(lifetime);
            let (source, store, _running) = start(lifetime);
            tokio::time::sleep(lifetime * 20).await;
            let calls = source.calls.lock().len();
            assert!((23..=28).contains(&calls), "{calls} calls in 20 lifetimes of {lifetime:?}");
            assert!(store.current().is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refresher_keeps_a_valid_value_while_the_source_is_down() {
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
    async fn refresher_never_stops_whatever_the_error() {
        use SourceErrorKind::{Connect, Malformed, Refused};
        for (kind, message) in [(Malformed, "odd"), (Refused, "odd"), (Connect, "odd"), (Malformed, PANIC)] {
            let (source, store, _running) = start(Duration::from_secs(60));
            *source.down.lock() = Some(SourceError::new(kind, message));
            tokio::time::sleep(Duration::from_secs(86_400)).await;
            let calls = source.calls.lock().len();
            assert!(calls > 500, "{calls} calls in a day of {kind:?}");
            *source.down.lock() = None;
            tokio::time::sleep(Duration::from_secs(300)).await;
            assert!(store.current().is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refresher_waits_for_retry_after() {
        let (source, _store, _running) = start(Duration::from_secs(60));
        let asked_to_wait = SourceError {
            retry_after: Some(Duration::from_secs(120)),
            ..SourceError::new(SourceErrorKind::RateLimited, "429")
        };
        *source.down.lock() = Some(asked_to_wait);
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        let calls = source.calls.lock().clone();
        for pair in calls.windows(2).skip(1) {
            assert!(pair[1] - pair[0] >= Duration::from_secs(120));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refresher_keeps_a_valid_value_if_the_new_one_has_expired() {
        let (source, store, _running) = start(Duration::from_secs(60));
        tokio::time::sleep(Duration::from_secs(40)).await;
        *source.lifetime.lock() = Duration::ZERO;
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert!(source.calls.lock().len() > 1);
        assert!(store.current().is_some(), "valid until its own expiry");
        let error = store.status().last_error.unwrap();
        assert_eq!(error.message, "the new ticket had expired before it arrived");
    }

    #[tokio::test(start_paused = true)]
    async fn refresher_fetches_at_once_when_a_refresh_is_requested() {
        let (source, store, _running) = start(Duration::from_secs(3600));
        tokio::time::sleep(Duration::from_secs(10)).await;
        let generation = store.current().unwrap().as_ref().unwrap().generation;
        assert_eq!((generation, source.calls.lock().len()), (1, 1));
        let RefreshDecision::Pending(attempt) = store.refresh_now(RefreshReason::Rejected(generation)) else {
            panic!("pending")
        };
        assert!(store.wait_for(attempt, Duration::from_secs(5)).await);
        assert_eq!(store.current().unwrap().as_ref().unwrap().generation, 2);
        assert_eq!(source.calls.lock().len(), 2);
    }

    #[tokio::test]
    async fn pause_ends_when_the_machine_slept_past_its_due_time() {
        let hour = Duration::from_secs(3600);
        let slept = Expiry::after(ClockReading::now().with_wall_clock_back(2 * hour), hour);
        tokio::time::timeout(Duration::from_secs(5), pause(slept)).await.unwrap();
    }
}
