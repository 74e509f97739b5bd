//! Failures in a row, and what follows from them: for a while nothing is sent, then one request tries.
//!
//! The same for one of several URLs (it is passed over) and for a whole service (`circuit`: requests are refused). Nothing
//! but relaxed atomics: a request that goes well where all went well reads one number.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Failures in a row.
pub(super) struct CircuitBreaker {
    failure_limit: u32,
    open_duration: Duration,
    failures: AtomicU32,
    /// Milliseconds since the program began; 0: in use.
    open_until: AtomicU64,
}

/// What a failure or success has changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Transition {
    None,
    /// From now on nothing is sent.
    Opened,
    /// All is well again.
    Closed,
}

impl CircuitBreaker {
    /// After `limit` failures in a row nothing is sent for `rest`.
    pub(super) fn new(failure_limit: u32, open_duration: Duration) -> Self {
        Self { failure_limit, open_duration, failures: AtomicU32::new(0), open_until: AtomicU64::new(0) }
    }

    /// Whether a request may be sent. While it rests nothing may; after that one may, and the others only when that one
    /// has gone well, or another rest has passed.
    pub(super) fn try_acquire(&self) -> Result<(), Duration> {
        let until = self.open_until.load(Ordering::Relaxed);
        if until == 0 {
            return Ok(());
        }
        let now = now();
        if now < until {
            return Err(Duration::from_millis(until - now));
        }
        let next = now + millis(self.open_duration);
        // One wins.
        match self.open_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.open_duration),
        }
    }

    /// Whether requests are rejected, but for the one that tries.
    pub(super) fn is_open(&self) -> bool {
        self.open_until.load(Ordering::Relaxed) != 0
    }

    /// A request got its answer.
    pub(super) fn record_success(&self) -> Transition {
        if self.failures.load(Ordering::Relaxed) == 0 {
            return Transition::None;
        }
        self.failures.store(0, Ordering::Relaxed);
        if self.open_until.swap(0, Ordering::Relaxed) == 0 { Transition::None } else { Transition::Closed }
    }

    /// A request got none.
    pub(super) fn record_failure(&self) -> Transition {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures < self.failure_limit {
            return Transition::None;
        }
        let until = now() + millis(self.open_duration);
        match self.open_until.swap(until, Ordering::Relaxed) {
            0 => Transition::Opened,
            _ => Transition::None,
        }
    }
}

/// Milliseconds since the program began, from 1.
fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    millis(START.get_or_init(Instant::now).elapsed()) + 1
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_after_failures_in_a_row_and_then_lets_one_try() {
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
        assert_eq!(breaker.try_acquire(), Ok(()), "one tries");
        assert!(breaker.try_acquire().is_err(), "and no other");
        assert_eq!(breaker.record_failure(), Transition::None, "it stays open");
        assert!(breaker.try_acquire().is_err());
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(breaker.try_acquire(), Ok(()));
        assert!(breaker.is_open(), "until the one that tries has succeeded");
        assert_eq!(breaker.record_success(), Transition::Closed);
        assert!(!breaker.is_open());
        assert_eq!(breaker.try_acquire(), Ok(()));
        assert_eq!(breaker.try_acquire(), Ok(()));
    }
}
