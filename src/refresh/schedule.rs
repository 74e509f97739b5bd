//! When the next attempt is due: a pure function of lifetime, failures, what the server asked for, and a
//! random number, so that a test can simulate years of ten thousand sidecars.

use std::time::Duration;

/// The part of the lifetime after which a value is refreshed.
const REFRESH_FRACTION: f64 = 0.8;
/// The part of the lifetime by which that point varies in both directions, so that sidecars that started
/// together drift apart.
const JITTER_FRACTION: f64 = 0.05;
/// Minimum time between refresh and expiry, for clocks that differ. For a short lifetime it is a tenth of it.
const CLOCK_MARGIN: Duration = Duration::from_secs(30);
/// Minimum time between two refreshes, however short the lifetime: two per second at most.
pub(super) const MIN_INTERVAL: Duration = Duration::from_millis(500);

/// First step of the back-off after a transient failure.
const TRANSIENT_BASE: Duration = Duration::from_secs(1);
/// First step of the back-off after a rejection.
const REFUSED_BASE: Duration = Duration::from_secs(5);
/// Maximum step after a transient failure.
const TRANSIENT_CAP: Duration = Duration::from_secs(60);
/// Maximum step after a transient failure if no value was ever obtained, so that no lifetime is known.
const UNKNOWN_CAP: Duration = Duration::from_secs(30);
/// Maximum step after a rejection: only a person can resolve it, and each attempt may count against a quota.
const REFUSED_CAP: Duration = Duration::from_secs(300);
/// Minimum step: the random number may be zero.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
/// Maximum `Retry-After` that is respected: a server that asks for a year must not stop a service for good.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(3600);

/// Maximum time limit on a token request.
const MAX_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Minimum time limit on a token request.
const MIN_REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// How much earlier than `expires_in` says a token may end: endpoints stamp tokens in whole seconds, rounded
/// down.
const ROUNDING: Duration = Duration::from_secs(1);

/// How long a token with the stated lifetime may be used: a second less, or a third less if the lifetime is
/// very short.
pub fn usable_for(lifetime: Duration) -> Duration {
    lifetime.saturating_sub(ROUNDING.min(lifetime / 3))
}

/// The time limit on a token request if none is configured. It is not longer than the maximum step of the
/// back-off: otherwise an endpoint that hung would keep the service of a short token waiting long after it
/// has recovered. An endpoint that is always slow gets twice the time that it took. `last` is the lifetime of
/// the last token, and the duration of its request.
pub fn request_timeout(last: Option<(Duration, Duration)>) -> Duration {
    last.map_or(MAX_REQUEST_TIMEOUT, |(lifetime, took)| {
        (lifetime / 4).max(took * 2).clamp(MIN_REQUEST_TIMEOUT, MAX_REQUEST_TIMEOUT)
    })
}

/// Time until the refresh of a value with this lifetime. `random` is uniform in `0.0..1.0`.
pub fn refresh_in(lifetime: Duration, random: f64) -> Duration {
    let aim = lifetime.mul_f64(REFRESH_FRACTION + JITTER_FRACTION * (2.0 * random - 1.0));
    let latest = lifetime.saturating_sub(CLOCK_MARGIN.min(lifetime / 10));
    aim.min(latest).max(MIN_INTERVAL)
}

/// Time until the refresh of a value with this lifetime, if a request is expected to take `expected`: early
/// enough that the new value is there before this one expires. The request may take a quarter longer.
pub fn refresh_in_time(lifetime: Duration, expected: Duration, random: f64) -> Duration {
    let needed = expected + expected / 4 + CLOCK_MARGIN.min(lifetime / 10);
    refresh_in(lifetime, random).min(lifetime.saturating_sub(needed)).max(MIN_INTERVAL)
}

/// The expected duration of a request after one that took `took`: the longest of late. A long one counts for
/// less with each shorter one that follows.
pub fn expected_duration(before: Duration, took: Duration) -> Duration {
    took.max(before * 3 / 4)
}

/// What is known after a failed attempt.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// Number of consecutive failures, this one included.
    pub count: u32,
    /// Whether a person has to act, rather than the failure being transient.
    pub refused: bool,
    /// `Retry-After` of the answer.
    pub retry_after: Option<Duration>,
    /// Lifetime of the last value, if there ever was one.
    pub lifetime: Option<Duration>,
    /// Time left of the current value, if it has not expired.
    pub remaining: Option<Duration>,
}

/// Time until the retry: exponential back-off with full jitter, but at least what `Retry-After` asks for.
///
/// The maximum step is a quarter of the lifetime: a short-lived value recovers fast, and during an outage the
/// sidecars of a long-lived one send requests at a few times their usual rate at most.
pub fn retry_in(failure: Failure, random: f64) -> Duration {
    let (base, cap) = match (failure.refused, failure.lifetime) {
        // Half of the time left, so that there is more than one attempt before the current value expires.
        (true, _) => {
            let half = failure.remaining.map_or(REFUSED_CAP, |remaining| remaining / 2);
            (REFUSED_BASE, half.clamp(REFUSED_BASE, REFUSED_CAP))
        }
        (false, None) => (TRANSIENT_BASE, UNKNOWN_CAP),
        (false, Some(lifetime)) => (TRANSIENT_BASE, (lifetime / 4).clamp(TRANSIENT_BASE, TRANSIENT_CAP)),
    };
    let doublings = failure.count.saturating_sub(1).min(16);
    let step = base.saturating_mul(1 << doublings).min(cap);
    let backoff = step.mul_f64(random).max(MIN_BACKOFF);
    match failure.retry_after {
        // All sidecars got the same time: spread the retries over a tenth more.
        Some(asked) => backoff.max(asked.min(RETRY_AFTER_CAP).mul_f64(1.0 + 0.1 * random)),
        None => backoff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn failure(count: u32) -> Failure {
        Failure {
            count,
            refused: false,
            retry_after: None,
            lifetime: Some(Duration::from_secs(3600)),
            remaining: None,
        }
    }

    #[test]
    fn refresh_is_at_four_fifths_of_the_lifetime_with_jitter() {
        for (lifetime, earliest, latest) in
            [(10, 7.5, 8.5), (3600, 2700.0, 3060.0), (86_400, 64_800.0, 73_440.0)]
        {
            let lifetime = Duration::from_secs(lifetime);
            assert!((refresh_in(lifetime, 0.0).as_secs_f64() - earliest).abs() < 1e-6);
            assert!((refresh_in(lifetime, 1.0).as_secs_f64() - latest).abs() < 1e-6);
        }
    }

    #[test]
    fn token_is_used_for_a_second_less_than_its_lifetime() {
        let usable = |seconds| usable_for(Duration::from_secs(seconds)).as_millis();
        assert_eq!([1, 2, 3, 4, 5, 3600].map(usable), [666, 1333, 2000, 3000, 4000, 3_599_000]);
    }

    #[test]
    fn request_timeout_is_short_for_a_short_token() {
        let limit = |lifetime, took| {
            request_timeout(Some((Duration::from_secs(lifetime), Duration::from_millis(took)))).as_secs()
        };
        assert_eq!(request_timeout(None), MAX_REQUEST_TIMEOUT);
        assert_eq!([5, 10, 20, 30, 60, 3600].map(|lifetime| limit(lifetime, 50)), [2, 2, 5, 7, 10, 10]);
        assert_eq!([2000, 4000, 9000].map(|took| limit(5, took)), [4, 8, 10]);
    }

    /// What deploy/prometheus promises: a scrape every 15 s, rules evaluated every 15 s, each at the worst
    /// moment.
    #[test]
    fn failure_is_noticed_before_a_token_of_five_minutes_ends() {
        let noticed = Duration::from_secs(15 + 15);
        for seconds in [300, 600, 900, 3600, 86_400] {
            let lifetime = Duration::from_secs(seconds);
            let failed =
                refresh_in(lifetime, 1.0) + request_timeout(Some((lifetime, Duration::from_secs(3))));
            assert!(failed + noticed < usable_for(lifetime), "{seconds} s");
            assert!(failed > lifetime.mul_f64(0.8), "{seconds} s: the alert's expression holds as well");
        }
    }

    #[test]
    fn retry_backs_off_with_full_jitter_up_to_a_cap() {
        let longest = |count| retry_in(failure(count), 1.0).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 99].map(longest), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(retry_in(failure(7), 0.5).as_secs(), 30);
        assert_eq!(retry_in(failure(7), 0.0), MIN_BACKOFF);
    }

    #[test]
    fn retry_is_fast_for_a_short_token_and_slow_if_rejected() {
        let short = Failure { lifetime: Some(Duration::from_secs(10)), ..failure(9) };
        assert_eq!(retry_in(short, 1.0), Duration::from_millis(2500));
        assert_eq!(retry_in(Failure { refused: true, ..failure(1) }, 1.0), REFUSED_BASE);
        let refused = Failure { refused: true, ..failure(20) };
        assert_eq!(retry_in(refused, 1.0), REFUSED_CAP);
        let left = |seconds| Failure { remaining: Some(Duration::from_secs(seconds)), ..refused };
        assert_eq!(
            [3600, 240, 20, 1].map(|seconds| retry_in(left(seconds), 1.0).as_secs()),
            [300, 120, 10, 5]
        );
    }

    #[test]
    fn retry_after_is_a_minimum_and_is_limited() {
        let asked = |seconds| Failure { retry_after: Some(Duration::from_secs(seconds)), ..failure(1) };
        assert_eq!(retry_in(asked(120), 0.0).as_secs(), 120);
        assert_eq!(retry_in(asked(120), 1.0).as_secs(), 132);
        assert_eq!(retry_in(asked(u64::MAX), 0.0), RETRY_AFTER_CAP);
    }

    #[test]
    fn refresh_leaves_time_for_a_slow_request() {
        let after = |lifetime: u64, took: u64, random| {
            let (lifetime, took) = (Duration::from_millis(lifetime), Duration::from_millis(took));
            let due = refresh_in_time(lifetime, took, random);
            (due.as_millis(), lifetime.saturating_sub(due).as_millis())
        };
        for random in [0.0, 0.5, 1.0] {
            // A token of eight seconds from an endpoint that takes 1.3 s, and one of ten from one that takes 2 s.
            for (lifetime, took) in [(5700, 1300), (7000, 2000), (3_600_000, 9000)] {
                let (due, left) = after(lifetime, took, random);
                assert!(left > u128::from(took), "{left} ms are left for {took} ms");
                assert!(due >= u128::from(lifetime) / 3, "{due} ms of {lifetime}");
            }
            let hour = Duration::from_secs(3600);
            assert_eq!(refresh_in_time(hour, Duration::from_millis(50), random), refresh_in(hour, random));
        }
        assert_eq!(after(1000, 2000, 0.5).0, MIN_INTERVAL.as_millis(), "slower than the value lives");
    }

    #[test]
    fn expected_duration_is_the_longest_of_late() {
        let mut expected = Duration::ZERO;
        for (took, millis) in [(1000, 1000), (100, 750), (2000, 2000), (0, 1500), (0, 1125)] {
            expected = expected_duration(expected, Duration::from_millis(took));
            assert_eq!(expected.as_millis(), millis);
        }
    }

    proptest! {
        #[test]
        fn refresh_is_before_expiry_and_not_too_frequent(millis in 1u64..3_000_000_000, random in 0.0f64..1.0) {
            let lifetime = Duration::from_millis(millis);
            let due = refresh_in(lifetime, random);
            prop_assert!(due >= MIN_INTERVAL);
            prop_assert!(due < lifetime || due == MIN_INTERVAL);
        }

        #[test]
        fn retry_always_comes(count in 0u32.., refused: bool, after in proptest::option::of(0u64..), random in 0.0f64..1.0) {
            let failure = Failure { count, refused, retry_after: after.map(Duration::from_secs), lifetime: None, remaining: None };
            let due = retry_in(failure, random);
            prop_assert!(due >= MIN_BACKOFF && due <= RETRY_AFTER_CAP.mul_f64(1.1));
        }
    }
}
