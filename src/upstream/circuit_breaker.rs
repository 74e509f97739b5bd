//! A circuit breaker over consecutive failures.
//!
//! - Closed: requests are sent. `failure_limit` failures in a row open the breaker.
//! - Open: requests are not sent. After `open_duration` the breaker is half-open.
//! - Half-open: one request is sent, the probe. For all others the breaker is open for another `open_duration`.
//!   The probe's success closes the breaker.
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
        Self { failure_limit, open_duration, failures: AtomicU32::new(0), open_until: AtomicDeadline::off() }
    }

    /// Whether a request may be sent; otherwise the time after which one may. In the half-open state the
    /// first caller gets the probe, and for the others the breaker is open for another `open_duration`.
    pub(super) fn try_acquire(&self) -> Result<(), Duration> {
        let Some(until) = self.open_until.get() else { return Ok(()) };
        let now = Tick::now();
        if now < until {
            return Err(until.duration_since(now));
        }
        let is_probe = self.open_until.replace(Some(until), now + self.open_duration);
        if is_probe { Ok(()) } else { Err(self.open_duration) }
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
    use super::*;

    #[test]
    fn breaker_opens_after_failures_and_admits_one_probe() {
        let breaker = CircuitBreaker::new(3, Duration::from_millis(30));
        for _ in 0..2 {
            assert_eq!(breaker.record_failure(), Transition::None);
        }
        assert_eq!(breaker.record_success(), Transition::None);
        for _ in 0..2 {
            assert_eq!(breaker.record_failure(), Transition::None);
            assert_eq!(breaker.try_acquire(), Ok(()));
        }
        assert!(!breaker.is_open());
        assert_eq!(breaker.record_failure(), Transition::Opened);
        assert!(breaker.is_open() && breaker.try_acquire().is_err());
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(breaker.try_acquire(), Ok(()), "half-open: the probe");
        assert!(breaker.try_acquire().is_err(), "and no other request");
        assert_eq!(breaker.record_failure(), Transition::None, "it stays open");
        assert!(breaker.try_acquire().is_err());
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(breaker.try_acquire(), Ok(()));
        assert!(breaker.is_open(), "until the probe has succeeded");
        assert_eq!(breaker.record_success(), Transition::Closed);
        assert!(!breaker.is_open());
        assert_eq!(breaker.try_acquire(), Ok(()));
        assert_eq!(breaker.try_acquire(), Ok(()));
    }
}
