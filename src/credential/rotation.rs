//! Two secrets while a rotation is under way: the new one, and the previous one for as long as the upstream does not take the
//! new one yet.
//!
//! Requests have the new one until the upstream answers 401 to it and takes the previous one in its place. From then on they
//! have the previous one, and one request in [`INTERVAL`] tries the new one, until that is taken. Only an answer to a request
//! that asked the question counts: what was in flight while another request switched says nothing of now.
//!
//! Where both are refused, the answer is passed on, and one request in [`PAUSE`] is sent with both: an upstream that refuses
//! everything does not get everything twice.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::HeaderValue;

use super::{Slot, Used};

/// How often one request tries the new secret while the previous one is in use.
const INTERVAL: Duration = Duration::from_secs(30);
/// How often one request tries the other secret while both are refused.
const PAUSE: Duration = Duration::from_secs(5);

/// A credential of two secrets that go to the same place.
pub struct Overlap {
    pub(super) slot: Slot,
    new: HeaderValue,
    previous: HeaderValue,
    start: Instant,
    /// 0 while the new one is in use, otherwise when it is tried again: milliseconds since `start`.
    try_at: AtomicU64,
    /// 0 until both were refused, then when the other one is tried again: milliseconds since `start`.
    both_at: AtomicU64,
}

/// From now on the other secret is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// The upstream refuses the new one and takes the previous one.
    ToPrevious,
    /// The upstream takes the new one.
    ToNew,
}

impl Overlap {
    pub(super) fn new(slot: Slot, new: HeaderValue, previous: HeaderValue) -> Self {
        Self {
            slot,
            new,
            previous,
            start: Instant::now(),
            try_at: AtomicU64::new(0),
            both_at: AtomicU64::new(0),
        }
    }

    /// What to send: the other one than the upstream has just `refused`; the new one now and then where the request `may_try`.
    pub(super) fn choose(&self, refused: Option<Used>, may_try: bool) -> (&HeaderValue, Used) {
        self.choose_at(refused, may_try, || self.start.elapsed())
    }

    fn choose_at(
        &self,
        refused: Option<Used>,
        may_try: bool,
        now: impl Fn() -> Duration,
    ) -> (&HeaderValue, Used) {
        match refused {
            Some(Used::Previous) => return (&self.new, Used::New),
            Some(_) => return (&self.previous, Used::Previous),
            None => {}
        }
        let at = self.try_at.load(Ordering::Relaxed);
        if at == 0 {
            return (&self.new, Used::New);
        }
        let is_due = may_try && at <= milliseconds(now());
        if is_due && self.replace(at, milliseconds(now() + INTERVAL)) {
            return (&self.new, Used::Trial);
        }
        (&self.previous, Used::Previous)
    }

    /// Whether the other one is to be tried, after the one that was `used` was refused.
    pub(super) fn may_try_other(&self, used: Used) -> bool {
        self.may_try_other_at(used, || self.start.elapsed())
    }

    fn may_try_other_at(&self, used: Used, now: impl Fn() -> Duration) -> bool {
        let at = self.both_at.load(Ordering::Relaxed);
        // Whoever tried the new one has not yet had the one that is in use.
        if at == 0 || used == Used::Trial {
            return true;
        }
        let next = milliseconds(now() + PAUSE);
        at <= milliseconds(now())
            && self.both_at.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The upstream refused one after the other.
    pub(super) fn refused_both(&self) {
        self.refused_both_at(|| self.start.elapsed());
    }

    fn refused_both_at(&self, now: impl Fn() -> Duration) {
        self.both_at.store(milliseconds(now() + PAUSE), Ordering::Relaxed);
    }

    /// The upstream took the credential that was `used`.
    pub(super) fn accepted(&self, used: Used, is_replay: bool) -> Option<Switch> {
        self.accepted_at(used, is_replay, || self.start.elapsed())
    }

    fn accepted_at(&self, used: Used, is_replay: bool, now: impl Fn() -> Duration) -> Option<Switch> {
        match (used, is_replay) {
            (Used::Previous, true) => {
                self.replace(0, milliseconds(now() + INTERVAL)).then_some(Switch::ToPrevious)
            }
            (Used::Trial, _) | (Used::New, true) => {
                (self.try_at.swap(0, Ordering::Relaxed) != 0).then_some(Switch::ToNew)
            }
            _ => None,
        }
    }

    /// Whether requests have the previous one.
    pub fn is_previous_in_use(&self) -> bool {
        self.try_at.load(Ordering::Relaxed) != 0
    }

    fn replace(&self, old: u64, new: u64) -> bool {
        self.try_at.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: (&str, Used) = ("new", Used::New);
    const TRIAL: (&str, Used) = ("new", Used::Trial);
    const PREVIOUS: (&str, Used) = ("previous", Used::Previous);

    fn overlap() -> Overlap {
        let value = HeaderValue::from_static;
        Overlap::new(Slot::AUTHORIZATION, value("new"), value("previous"))
    }

    fn chosen(overlap: &Overlap, refused: Option<Used>, may_try: bool, second: u64) -> (&str, Used) {
        let (value, used) = overlap.choose_at(refused, may_try, || Duration::from_secs(second));
        (value.to_str().unwrap_or_default(), used)
    }

    fn accepted(overlap: &Overlap, used: Used, is_replay: bool, second: u64) -> Option<Switch> {
        overlap.accepted_at(used, is_replay, || Duration::from_secs(second))
    }

    #[test]
    fn the_previous_one_is_used_once_it_was_taken_in_place_of_the_new_one() {
        let overlap = overlap();
        assert_eq!(chosen(&overlap, None, true, 0), NEW);
        assert_eq!(chosen(&overlap, Some(Used::New), true, 0), PREVIOUS);
        assert_eq!(chosen(&overlap, None, true, 1), NEW, "nobody has said that the previous one is good");
        assert_eq!(accepted(&overlap, Used::Previous, true, 1), Some(Switch::ToPrevious));
        assert_eq!(accepted(&overlap, Used::Previous, true, 1), None, "said once");
        assert!(overlap.is_previous_in_use());
        assert_eq!(chosen(&overlap, None, true, 30), PREVIOUS);
    }

    #[test]
    fn one_request_in_an_interval_tries_the_new_one_and_only_one_that_can_be_sent_again() {
        let overlap = overlap();
        accepted(&overlap, Used::Previous, true, 0);
        for second in [30, 60, 90] {
            assert_eq!(chosen(&overlap, None, true, second - 1), PREVIOUS);
            assert_eq!(chosen(&overlap, None, false, second), PREVIOUS);
            assert_eq!(chosen(&overlap, None, true, second), TRIAL);
            assert_eq!(chosen(&overlap, None, true, second), PREVIOUS);
            assert_eq!(chosen(&overlap, Some(Used::Trial), true, second), PREVIOUS);
            assert_eq!(accepted(&overlap, Used::Previous, true, second), None, "in use already");
        }
        assert_eq!(chosen(&overlap, None, true, 1000), TRIAL);
        assert_eq!(accepted(&overlap, Used::Trial, false, 1000), Some(Switch::ToNew));
        assert!(!overlap.is_previous_in_use());
        assert_eq!(chosen(&overlap, None, true, 1000), NEW);
    }

    #[test]
    fn the_new_one_takes_over_at_once_where_the_previous_one_is_refused() {
        let overlap = overlap();
        accepted(&overlap, Used::Previous, true, 0);
        assert_eq!(chosen(&overlap, Some(Used::Previous), true, 1), NEW);
        assert_eq!(accepted(&overlap, Used::New, true, 1), Some(Switch::ToNew));
        assert_eq!(chosen(&overlap, None, true, 1), NEW);
    }

    #[test]
    fn where_both_are_refused_one_request_in_a_while_tries_the_other() {
        let overlap = overlap();
        let may = |used, second| overlap.may_try_other_at(used, || Duration::from_secs(second));
        assert!(may(Used::New, 0) && may(Used::New, 0), "nobody has said that the other one is refused");
        overlap.refused_both_at(|| Duration::from_secs(1));
        assert!(!may(Used::New, 1) && !may(Used::Previous, 5));
        assert!(may(Used::Trial, 5) && may(Used::Trial, 5), "it was this one that was tried");
        assert!(may(Used::New, 6));
        assert!(!may(Used::New, 6) && !may(Used::New, 10));
        assert!(may(Used::Previous, 11));
    }

    #[test]
    fn what_was_in_flight_during_a_switch_does_not_turn_it_back() {
        let overlap = overlap();
        assert_eq!(accepted(&overlap, Used::Previous, false, 0), None);
        assert_eq!(chosen(&overlap, None, true, 0), NEW);
        accepted(&overlap, Used::Previous, true, 0);
        assert_eq!(accepted(&overlap, Used::New, false, 0), None);
        assert_eq!(chosen(&overlap, None, true, 0), PREVIOUS);
    }
}
