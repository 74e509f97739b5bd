//! Limits on the use of an upstream: requests at a time (`max_in_flight`), requests in a time (`rate_limit`),
//! and the circuit breaker (`circuit_breaker`).
//!
//! They consist of atomics. A service without limits has no [`Limits`].

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::circuit_breaker::CircuitBreaker;
use crate::config::{RateLimit, UpstreamOptions};

/// The limits of one service, or of one caller.
pub struct Limits {
    /// The number of requests in flight, and its limit.
    in_flight: Option<(AtomicUsize, usize)>,
    rate: Option<RateLimiter>,
    pub(super) circuit_breaker: Option<CircuitBreaker>,
}

/// The error of a request that is not sent because of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitExceeded {
    /// The limit, for the log.
    pub cause: String,
    /// The time after which a request may be sent.
    pub retry_after: Duration,
}

/// The permit of one request. It gives back its place in `max_in_flight` when it is dropped.
pub struct RequestPermit<'l>(&'l AtomicUsize);

impl Drop for RequestPermit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Limits {
    /// The limits in these options; `None` if there are none.
    pub(super) fn new(options: &UpstreamOptions) -> Option<Box<Self>> {
        let circuit_breaker = options
            .circuit_breaker
            .as_ref()
            .map(|settings| CircuitBreaker::new(settings.consecutive_failures, settings.open_duration));
        let in_flight = options.max_in_flight.map(|limit| (AtomicUsize::new(0), limit));
        let rate = options.rate_limit.as_ref().map(RateLimiter::new);
        if circuit_breaker.is_none() && in_flight.is_none() && rate.is_none() {
            return None;
        }
        Some(Box::new(Self { in_flight, rate, circuit_breaker }))
    }

    /// The limits of one caller; `None` if there are none.
    pub fn of_caller(max_in_flight: Option<usize>, rate_limit: Option<&RateLimit>) -> Option<Self> {
        let in_flight = max_in_flight.map(|limit| (AtomicUsize::new(0), limit));
        let rate = rate_limit.map(RateLimiter::new);
        (in_flight.is_some() || rate.is_some()).then_some(Self { in_flight, rate, circuit_breaker: None })
    }

    /// Acquires the permit to send one request; `None` if no limit counts requests in flight. The circuit breaker is asked after that.
    ///
    /// # Errors
    ///
    /// If a limit is reached.
    pub fn try_acquire(&self) -> Result<Option<RequestPermit<'_>>, LimitExceeded> {
        let permit = match &self.in_flight {
            None => None,
            Some((count, limit)) => {
                let before = count.fetch_add(1, Ordering::Relaxed);
                let permit = RequestPermit(count);
                if before >= *limit {
                    let cause = format!("max_in_flight: {limit} requests are in flight");
                    return Err(LimitExceeded { cause, retry_after: Duration::from_secs(1) });
                }
                Some(permit)
            }
        };
        if let Some(rate) = &self.rate {
            rate.try_acquire().map_err(|retry_after| LimitExceeded {
                cause: "rate_limit: too many requests in this time".into(),
                retry_after,
            })?;
        }
        Ok(permit)
    }

    /// Whether a request that has its permit is the probe of the circuit breaker.
    ///
    /// # Errors
    ///
    /// If the circuit breaker is open.
    pub(super) fn try_pass_breaker(&self) -> Result<bool, LimitExceeded> {
        let Some(breaker) = &self.circuit_breaker else { return Ok(false) };
        breaker.try_acquire().map_err(|retry_after| LimitExceeded {
            cause: "circuit: the breaker is open, because the last requests failed".into(),
            retry_after,
        })
    }
}

/// The generic cell rate algorithm: keeps the time at which the next request is due if all come evenly.
struct RateLimiter {
    start: OnceLock<Instant>,
    /// Nanoseconds between two requests of an even flow.
    interval: u64,
    /// Nanoseconds by which a request may be ahead of an even flow: the burst.
    tolerance: u64,
    /// When the next request is due, in nanoseconds since `start`.
    due: AtomicU64,
}

impl RateLimiter {
    fn new(limit: &RateLimit) -> Self {
        let interval = nanos(limit.interval);
        let tolerance = interval.saturating_mul(u64::from(limit.burst.saturating_sub(1)));
        Self { start: OnceLock::new(), interval, tolerance, due: AtomicU64::new(0) }
    }

    fn try_acquire(&self) -> Result<(), Duration> {
        self.try_acquire_at(nanos(self.start.get_or_init(Instant::now).elapsed()))
    }

    fn try_acquire_at(&self, now: u64) -> Result<(), Duration> {
        let updated = self.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| {
            let due = due.max(now);
            (due - now <= self.tolerance).then_some(due + self.interval)
        });
        updated.map(drop).map_err(|due| Duration::from_nanos(due.saturating_sub(now + self.tolerance)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limiter_admits_burst_then_keeps_pace() {
        let rate = RateLimiter::new(&RateLimit { interval: Duration::from_nanos(100), burst: 3 });
        for _ in 0..3 {
            assert_eq!(rate.try_acquire_at(0), Ok(()));
        }
        assert_eq!(rate.try_acquire_at(0), Err(Duration::from_nanos(100)));
        assert_eq!(rate.try_acquire_at(99), Err(Duration::from_nanos(1)));
        assert_eq!(rate.try_acquire_at(100), Ok(()));
        assert_eq!(rate.try_acquire_at(100), Err(Duration::from_nanos(100)));
        let acquired = (100..10_100).filter(|&now| rate.try_acquire_at(now).is_ok()).count();
        assert_eq!(acquired, 99);
        // Time without requests adds up to one burst, not more.
        assert_eq!((0..10).filter(|_| rate.try_acquire_at(1_000_000).is_ok()).count(), 3);
    }

    #[test]
    fn in_flight_limit_counts_until_permits_are_dropped() {
        let options = UpstreamOptions { max_in_flight: Some(2), ..UpstreamOptions::default() };
        let limits = Limits::new(&options).unwrap();
        let (one, _two) = (limits.try_acquire().ok().unwrap(), limits.try_acquire().ok().unwrap());
        assert!(limits.try_acquire().is_err() && limits.try_acquire().is_err());
        drop(one);
        assert!(limits.try_acquire().is_ok());
        assert!(Limits::new(&UpstreamOptions::default()).is_none());
    }
}
