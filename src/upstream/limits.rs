//! How much of an upstream is used: requests at a time, requests in a time, the circuit.
//!
//! Atomics only. A service without limits has none of this.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::circuit_breaker::Health;
use crate::config::{RateLimit, UpstreamOptions};

/// The limits of one service.
pub(super) struct Limits {
    in_flight: Option<(AtomicUsize, usize)>,
    rate: Option<Rate>,
    pub(super) circuit: Option<Health>,
}

/// Why a request is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// For the log.
    pub cause: String,
    /// When to try again.
    pub retry_after: Duration,
}

/// Leave for one request; given back when it is dropped.
pub struct Leave<'l>(&'l AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Limits {
    /// `None` where there are none.
    pub(super) fn new(options: &UpstreamOptions) -> Option<Box<Self>> {
        let circuit = options.circuit.as_ref().map(|circuit| Health::new(circuit.failures, circuit.open));
        let in_flight = options.max_in_flight.map(|most| (AtomicUsize::new(0), most));
        let rate = options.rate_limit.as_ref().map(Rate::new);
        if circuit.is_none() && in_flight.is_none() && rate.is_none() {
            return None;
        }
        Some(Box::new(Self { in_flight, rate, circuit }))
    }

    /// Leave to send one request.
    pub(super) fn admit(&self) -> Result<Option<Leave<'_>>, Refused> {
        let leave = match &self.in_flight {
            None => None,
            Some((count, most)) => {
                let before = count.fetch_add(1, Ordering::Relaxed);
                let leave = Leave(count);
                if before >= *most {
                    let cause = format!("max_in_flight: {most} requests are in flight");
                    return Err(Refused { cause, retry_after: Duration::from_secs(1) });
                }
                Some(leave)
            }
        };
        if let Some(rate) = &self.rate {
            rate.admit().map_err(|retry_after| Refused {
                cause: "rate_limit: too many requests in this time".into(),
                retry_after,
            })?;
        }
        // Last, because it may give the one leave to try.
        if let Some(circuit) = &self.circuit {
            circuit.admit().map_err(|retry_after| Refused {
                cause: "circuit: the last requests failed, so nothing is sent for a while".into(),
                retry_after,
            })?;
        }
        Ok(leave)
    }
}

/// The generic cell rate algorithm: the time at which the next request would be due if all came evenly.
struct Rate {
    start: OnceLock<Instant>,
    interval: u64,
    /// How far ahead of an even flow requests may be.
    ahead: u64,
    due: AtomicU64,
}

impl Rate {
    fn new(limit: &RateLimit) -> Self {
        let interval = nanos(limit.interval);
        let ahead = interval.saturating_mul(u64::from(limit.burst.saturating_sub(1)));
        Self { start: OnceLock::new(), interval, ahead, due: AtomicU64::new(0) }
    }

    fn admit(&self) -> Result<(), Duration> {
        self.admit_at(nanos(self.start.get_or_init(Instant::now).elapsed()))
    }

    fn admit_at(&self, now: u64) -> Result<(), Duration> {
        let taken = self.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| {
            let due = due.max(now);
            (due - now <= self.ahead).then_some(due + self.interval)
        });
        taken.map(drop).map_err(|due| Duration::from_nanos(due.saturating_sub(now + self.ahead)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_lets_a_burst_through_and_then_keeps_the_pace() {
        let rate = Rate::new(&RateLimit { interval: Duration::from_nanos(100), burst: 3 });
        for _ in 0..3 {
            assert_eq!(rate.admit_at(0), Ok(()));
        }
        assert_eq!(rate.admit_at(0), Err(Duration::from_nanos(100)));
        assert_eq!(rate.admit_at(99), Err(Duration::from_nanos(1)));
        assert_eq!(rate.admit_at(100), Ok(()));
        assert_eq!(rate.admit_at(100), Err(Duration::from_nanos(100)));
        let admitted = (100..10_100).filter(|&now| rate.admit_at(now).is_ok()).count();
        assert_eq!(admitted, 99);
        // Time without requests is saved up to the burst and no further.
        assert_eq!((0..10).filter(|_| rate.admit_at(1_000_000).is_ok()).count(), 3);
    }

    #[test]
    fn requests_at_a_time_are_counted_until_they_are_over() {
        let options = UpstreamOptions { max_in_flight: Some(2), ..UpstreamOptions::default() };
        let limits = Limits::new(&options).unwrap();
        let (one, _two) = (limits.admit().ok().unwrap(), limits.admit().ok().unwrap());
        assert!(limits.admit().is_err() && limits.admit().is_err());
        drop(one);
        assert!(limits.admit().is_ok());
        assert!(Limits::new(&UpstreamOptions::default()).is_none());
    }
}
