//! The background task that keeps one value fresh: a loop, one fallible call, and the pure schedule.
//!
//! There is one refresher for each distinct credential and it makes one attempt at a time, so that a thousand
//! requests at expiry result in one attempt. It never ends: every failure, whatever its kind, is followed by
//! a retry.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::clock_monitor::ClockMonitor;
use super::error::{SourceError, SourceErrorKind};
use super::expiry::{ClockReading, Expiring, Expiry};
use super::schedule;
use super::schedule::Failure;
use super::source::{Cause, Source};
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
    let mut expected = Duration::ZERO;
    let mut clock = ClockMonitor::default();
    let mut cause = Cause::Due;
    loop {
        let cause_of_attempt = store.attempt_started().unwrap_or(cause);
        let began = Instant::now();
        let fetched = monitor.during(fetch(&service, &source, &store, cause_of_attempt)).await;
        if let Some(server) = source.server() {
            clock.report(&service, server.facts());
        }
        let wait = match fetched {
            Ok(fresh) => {
                monitor.is_usable = true;
                lifetime = Some(fresh);
                log.last = None;
                row = (false, 0);
                // A wait for others of a fleet says nothing of how long a request takes.
                let sharing = source.sharing().map(|sharing| sharing.facts().request_took);
                let took = sharing.map_or_else(|| began.elapsed(), Option::unwrap_or_default);
                expected = schedule::expected_duration(expected, took);
                let wait = schedule::refresh_in_time(fresh, expected, fastrand::f64());
                store.next_attempt_in(wait);
                wait
            }
            Err(error) => {
                let refused = error.kind.needs_intervention();
                let retry_after = error.retry_after;
                row = (refused, if row.0 == refused { row.1 + 1 } else { 1 });
                let remaining = monitor.remaining();
                let failure = Failure { count: row.1, refused, retry_after, lifetime, remaining };
                let wait = schedule::retry_in(failure, fastrand::f64());
                store.attempt_failed(error.clone(), wait);
                log.report(&error, wait, remaining.is_some());
                wait
            }
        };
        let paused = monitor.during(pause(Expiry::after(ClockReading::now(), wait)));
        cause = tokio::select! {
            () = paused => Cause::Due,
            () = store.refresh_requested() => Cause::Due,
            () = source.changed() => Cause::Changed,
        };
    }
}

/// Makes one attempt. Returns the lifetime of the new value.
async fn fetch<T: Expiring>(
    service: &str,
    source: &Arc<dyn Source<T>>,
    store: &Store<T>,
    cause: Cause,
) -> Result<Duration, SourceError> {
    let malformed = |message: String| SourceError::new(SourceErrorKind::Malformed, message);
    // In a task of its own: not even a panic ends the refresher.
    let attempt = tokio::spawn({
        let source = source.clone();
        async move { source.fetch_for(cause).await }
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

/// Logs once that the current value has expired and that its source is failing, because from then on requests
/// are rejected. While the source is not failing, requests wait for the attempt in progress.
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
            } else if let Some(error) = self.store.status().last_error {
                self.is_usable = false;
                self.report(&error);
            } else {
                // After a failure this is run again.
                break;
            }
        }
        work.await
    }

    fn report(&self, error: &SourceError) {
        let status = self.store.status();
        let seconds = status.failing_for().unwrap_or_default().as_secs();
        tracing::error!(
            sidekey.service = self.service,
            token.reason = error.kind.as_str(),
            token.failures = status.failures,
            "{} expired and no new one could be obtained: requests get 503 (for {seconds} s now: {error})",
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
            let is_same = last.is_same_cause(error);
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
mod tests;
