//! When the next token request is due: a pure function of lifetime, failures, what the endpoint asked for, and chance,
//! so that years of ten thousand sidecars can be simulated in a test.

use std::time::Duration;

/// A token is refreshed after this part of its lifetime.
const FRACTION: f64 = 0.8;
/// Give or take this part of the lifetime, so that sidecars that started together drift apart.
const JITTER: f64 = 0.05;
/// At the latest this long before expiry, for clocks that differ, or a tenth of a short lifetime.
const CLOCK_MARGIN: Duration = Duration::from_secs(30);
/// However short the lifetime: never more than two token requests a second.
const MIN_INTERVAL: Duration = Duration::from_millis(500);

/// First step of the back-off after a transient failure, and after a refusal.
const TRANSIENT_BASE: Duration = Duration::from_secs(1);
const REFUSED_BASE: Duration = Duration::from_secs(5);
/// Longest step after a transient failure.
const TRANSIENT_CAP: Duration = Duration::from_secs(60);
/// The same where no token was ever obtained, and so no lifetime is known.
const UNKNOWN_CAP: Duration = Duration::from_secs(30);
/// Longest step after a refusal: only a person can mend it, and each try may count against a quota.
const REFUSED_CAP: Duration = Duration::from_secs(300);
/// No step is shorter: chance may say zero.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
/// A `Retry-After` beyond this is cut: an endpoint that says «next year» must not end a service for good.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(3600);

/// Limits on how long one token request may take.
const LONGEST_REQUEST: Duration = Duration::from_secs(10);
const SHORTEST_REQUEST: Duration = Duration::from_secs(2);

/// Endpoints stamp tokens in whole seconds, rounded down: a token may end this much before its `expires_in` has passed.
const ROUNDING: Duration = Duration::from_secs(1);

/// How long a token may be used that is said to live for `lifetime`: less a second, or a third of a very short life.
pub fn usable_for(lifetime: Duration) -> Duration {
    lifetime.saturating_sub(ROUNDING.min(lifetime / 3))
}

/// How long a token request may take where the configuration does not say: no longer than the longest step of the back-off,
/// or an endpoint that hung would keep a short token's service waiting long after it is well again. One that is slow when it
/// is well gets twice the time it took. `last` is the lifetime of the last token, and how long its request took.
pub fn request_timeout(last: Option<(Duration, Duration)>) -> Duration {
    last.map_or(LONGEST_REQUEST, |(lifetime, took)| {
        (lifetime / 4).max(took * 2).clamp(SHORTEST_REQUEST, LONGEST_REQUEST)
    })
}

/// How long after a token was requested the next one is. `random` is uniform in `0.0..1.0`.
pub fn refresh_in(lifetime: Duration, random: f64) -> Duration {
    let aim = lifetime.mul_f64(FRACTION + JITTER * (2.0 * random - 1.0));
    let latest = lifetime.saturating_sub(CLOCK_MARGIN.min(lifetime / 10));
    aim.min(latest).max(MIN_INTERVAL)
}

/// What is known after a failed token request.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// Failures in a row, this one included: from 1.
    pub count: u32,
    /// Refused by the endpoint, rather than a passing fault.
    pub refused: bool,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// Lifetime of the last token, if there ever was one.
    pub lifetime: Option<Duration>,
    /// What is left of the current token, if it may still be used.
    pub remaining: Option<Duration>,
}

/// How long to wait before the next try: exponential back-off with full jitter, at least what `Retry-After` asks for.
///
/// The longest step is a quarter of the token's lifetime: a short token recovers fast, and an outage makes a long one's
/// sidecars ask at a few times their ordinary rate at most.
pub fn retry_in(failure: Failure, random: f64) -> Duration {
    let (base, cap) = match (failure.refused, failure.lifetime) {
        // However slowly: more than once before the token at hand ends, should somebody have mended it.
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
        // Everyone was told the same time: spread over a tenth more.
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
    fn refreshes_at_four_fifths_of_the_lifetime_give_or_take_a_twentieth() {
        for (lifetime, earliest, latest) in
            [(10, 7.5, 8.5), (3600, 2700.0, 3060.0), (86_400, 64_800.0, 73_440.0)]
        {
            let lifetime = Duration::from_secs(lifetime);
            assert!((refresh_in(lifetime, 0.0).as_secs_f64() - earliest).abs() < 1e-6);
            assert!((refresh_in(lifetime, 1.0).as_secs_f64() - latest).abs() < 1e-6);
        }
    }

    #[test]
    fn a_token_is_not_used_in_the_second_that_its_issuer_may_have_rounded_away() {
        let usable = |seconds| usable_for(Duration::from_secs(seconds)).as_millis();
        assert_eq!([1, 2, 3, 4, 5, 3600].map(usable), [666, 1333, 2000, 3000, 4000, 3_599_000]);
    }

    #[test]
    fn a_hung_request_is_given_up_before_it_outlasts_a_short_token() {
        let limit = |lifetime, took| {
            request_timeout(Some((Duration::from_secs(lifetime), Duration::from_millis(took)))).as_secs()
        };
        assert_eq!(request_timeout(None), LONGEST_REQUEST);
        assert_eq!([5, 10, 20, 30, 60, 3600].map(|lifetime| limit(lifetime, 50)), [2, 2, 5, 7, 10, 10]);
        assert_eq!([2000, 4000, 9000].map(|took| limit(5, took)), [4, 8, 10]);
    }

    /// What deploy/prometheus promises: a scrape every 15 s, rules evaluated every 15 s, each at the worst moment.
    #[test]
    fn an_alert_can_tell_of_a_provider_that_hangs_before_a_token_of_five_minutes_ends() {
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
    fn backs_off_with_full_jitter_up_to_a_cap() {
        let longest = |count| retry_in(failure(count), 1.0).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 99].map(longest), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(retry_in(failure(7), 0.5).as_secs(), 30);
        assert_eq!(retry_in(failure(7), 0.0), MIN_BACKOFF);
    }

    #[test]
    fn a_short_token_recovers_fast_and_a_refusal_is_not_hammered() {
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
    fn retry_after_is_a_floor_and_is_bounded() {
        let asked = |seconds| Failure { retry_after: Some(Duration::from_secs(seconds)), ..failure(1) };
        assert_eq!(retry_in(asked(120), 0.0).as_secs(), 120);
        assert_eq!(retry_in(asked(120), 1.0).as_secs(), 132);
        assert_eq!(retry_in(asked(u64::MAX), 0.0), RETRY_AFTER_CAP);
    }

    proptest! {
        #[test]
        fn a_refresh_is_never_after_expiry_and_never_a_storm(millis in 1u64..3_000_000_000, random in 0.0f64..1.0) {
            let lifetime = Duration::from_millis(millis);
            let due = refresh_in(lifetime, random);
            prop_assert!(due >= MIN_INTERVAL);
            prop_assert!(due < lifetime || due == MIN_INTERVAL);
        }

        #[test]
        fn a_retry_always_comes(count in 0u32.., refused: bool, after in proptest::option::of(0u64..), random in 0.0f64..1.0) {
            let failure = Failure { count, refused, retry_after: after.map(Duration::from_secs), lifetime: None, remaining: None };
            let due = retry_in(failure, random);
            prop_assert!(due >= MIN_BACKOFF && due <= RETRY_AFTER_CAP.mul_f64(1.1));
        }
    }
}
