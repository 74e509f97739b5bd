//! A circuit breaker over consecutive failures.
//!
//! - Closed: requests are sent. `failure_limit` failures in a row open the breaker.
//! - Open: requests are not sent. After `open_duration` the breaker is half-open.
//! - Half-open: one request is sent, the probe. For all others the breaker is open for another `open_duration`.
//!   The probe's success closes the breaker. If its caller goes away before it has a result, the next request is the probe: otherwise
//!   a caller that does so each time would keep the breaker open for all others.
//!
//! It is used for one of several endpoints (an open one is passed over) and for a whole service
//! (`circuit_breaker`: requests are rejected). It consists of relaxed atomics: a success in the closed state
//! without failures reads one number.

#[cfg(test)]
mod simulation;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::net::deadline::{AtomicDeadline, Tick};

/// Counts consecutive failures, and says whether a request may be sent.
pub(super) struct CircuitBreaker {
    failure_limit: u32,
    open_duration: Duration,
    failures: AtomicU32,
    /// Off: closed. In the future: open. In the past: half-open.
    open_until: AtomicDeadline,
    /// The failures before the last probe.
    failures_before_probe: AtomicU32,
}

/// The change of state that a recorded result has caused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Transition {
    /// The state is as before.
    None,
    /// Closed to open: from now on requests are not sent.
    Opened,
    /// Open or half-open to closed: from now on requests are sent.
    Closed,
}

impl CircuitBreaker {
    /// A closed breaker. After `failure_limit` failures in a row it is open for `open_duration`.
    pub(super) fn new(failure_limit: u32, open_duration: Duration) -> Self {
        let (failures, failures_before_probe) = (AtomicU32::new(0), AtomicU32::new(0));
        Self {
            failure_limit,
            open_duration,
            failures,
            open_until: AtomicDeadline::off(),
            failures_before_probe,
        }
    }

    /// Whether the request that asks is the probe, if it may be sent; otherwise the time after which one may. In the half-open state
    /// the first caller gets the probe, and for the others the breaker is open for another `open_duration`.
    pub(super) fn try_acquire(&self) -> Result<bool, Duration> {
        let Some(until) = self.open_until.get() else { return Ok(false) };
        let now = Tick::now();
        if now < until {
            return Err(until.duration_since(now));
        }
        if !self.open_until.replace(Some(until), now + self.open_duration) {
            return Err(self.open_duration);
        }
        self.failures_before_probe.store(self.failures(), Ordering::Relaxed);
        Ok(true)
    }

    /// Makes the breaker half-open again if the probe, which has ended, has no result.
    pub(super) fn probe_ended(&self) {
        if self.failures() == self.failures_before_probe.load(Ordering::Relaxed)
            && let Some(until) = self.open_until.get()
        {
            self.open_until.replace(Some(until), Tick::now());
        }
    }

    /// Whether the breaker is open or half-open: requests are rejected, except for the probe.
    pub(super) fn is_open(&self) -> bool {
        self.open_until.get().is_some()
    }

    /// Failures since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Records that a request got a response.
    pub(super) fn record_success(&self) -> Transition {
        if self.failures.load(Ordering::Relaxed) == 0 {
            return Transition::None;
        }
        self.failures.store(0, Ordering::Relaxed);
        if self.open_until.clear().is_none() { Transition::None } else { Transition::Closed }
    }

    /// Records that a request got no response.
    pub(super) fn record_failure(&self) -> Transition {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures < self.failure_limit {
            return Transition::None;
        }
        match self.open_until.set(Tick::now() + self.open_duration) {
            None => Transition::Opened,
            Some(_) => Transition::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn breaker_opens_after_failures_and_admits_one_probe() {
        let breaker = CircuitBreaker::new(3, Duration::from_millis(30));
        for _ in 0..2 {
            assert_eq!(breaker.record_failure(), Transition::None);
        }
        assert_eq!(breaker.record_success(), Transition::None);
        for _ in 0..2 {
            assert_eq!(breaker.record_failure(), Transition::None);
            assert_eq!(breaker.try_acquire(), Ok(false));
        }
        assert!(!breaker.is_open());
        assert_eq!(breaker.record_failure(), Transition::Opened);
        assert!(breaker.is_open() && breaker.try_acquire().is_err());
        advance(Duration::from_millis(60)).await;
        assert_eq!(breaker.try_acquire(), Ok(true), "half-open: the probe");
        assert!(breaker.try_acquire().is_err(), "and no other request");
        assert_eq!(breaker.record_failure(), Transition::None, "it stays open");
        assert!(breaker.try_acquire().is_err());
        advance(Duration::from_millis(60)).await;
        assert_eq!(breaker.try_acquire(), Ok(true));
        assert!(breaker.is_open(), "until the probe has succeeded");
        assert_eq!(breaker.record_success(), Transition::Closed);
        assert!(!breaker.is_open());
        assert_eq!(breaker.try_acquire(), Ok(false));
        assert_eq!(breaker.try_acquire(), Ok(false));
    }

    #[tokio::test(start_paused = true)]
    async fn probe_without_a_result_is_that_of_the_next_request() {
        let breaker = CircuitBreaker::new(1, Duration::from_millis(30));
        breaker.record_failure();
        advance(Duration::from_millis(60)).await;
        assert_eq!(breaker.try_acquire(), Ok(true));
        assert!(breaker.try_acquire().is_err());
        breaker.probe_ended();
        assert_eq!(breaker.try_acquire(), Ok(true), "the next one");
        assert_eq!(breaker.record_failure(), Transition::None);
        breaker.probe_ended();
        assert!(breaker.try_acquire().is_err(), "a probe that has failed is over");
        advance(Duration::from_millis(60)).await;
        assert_eq!(breaker.try_acquire(), Ok(true));
        assert_eq!(breaker.record_success(), Transition::Closed);
        breaker.probe_ended();
        assert_eq!(breaker.try_acquire(), Ok(false), "and one that has succeeded");
    }
}
