//! A deadline that threads share without a lock.

use std::ops::Add;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A point in time: milliseconds on a monotonic clock that starts at 1 when it is first read. So 0 can mean
/// "no deadline".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    /// The current time.
    pub(crate) fn now() -> Self {
        static START: OnceLock<Instant> = OnceLock::new();
        let start = *START.get_or_init(Instant::now);
        // The clock of tokio, which a test can pause.
        Self::after_start(tokio::time::Instant::now().into_std().saturating_duration_since(start))
    }

    /// The time at which the clock has run for `elapsed`.
    pub(crate) fn after_start(elapsed: Duration) -> Self {
        Self(millis(elapsed).saturating_add(1))
    }

    /// The time from `earlier` to this point; zero if it is not earlier.
    pub(crate) fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Tick {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

/// A deadline, or none, in one atomic number. All accesses are relaxed: the deadline guards no other memory.
#[derive(Debug)]
pub(crate) struct AtomicDeadline(AtomicU64);

impl AtomicDeadline {
    /// No deadline.
    pub(crate) const fn off() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The deadline; `None` if it is off.
    pub(crate) fn get(&self) -> Option<Tick> {
        from_raw(self.0.load(Ordering::Relaxed))
    }

    /// Sets the deadline; returns the previous one.
    pub(crate) fn set(&self, deadline: Tick) -> Option<Tick> {
        from_raw(self.0.swap(deadline.0, Ordering::Relaxed))
    }

    /// Turns the deadline off; returns the previous one.
    pub(crate) fn clear(&self) -> Option<Tick> {
        from_raw(self.0.swap(0, Ordering::Relaxed))
    }

    /// Replaces the deadline if it still is `current`. Of several threads that try this with the same
    /// `current`, one gets `true`.
    pub(crate) fn replace(&self, current: Option<Tick>, new: Tick) -> bool {
        let current = current.map_or(0, |tick| tick.0);
        self.0.compare_exchange(current, new.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Sets the deadline to `interval` from `now` if it is off or has passed. Of several threads that try this, one
    /// gets `true`: what happens at most once in an interval is that thread's to do.
    pub(crate) fn try_restart(&self, now: Tick, interval: Duration) -> bool {
        let current = self.get();
        current.is_none_or(|at| at <= now) && self.replace(current, now + interval)
    }
}

fn from_raw(raw: u64) -> Option<Tick> {
    (raw != 0).then_some(Tick(raw))
}

/// Whole milliseconds, `u64::MAX` at most.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadline_is_off_until_set_and_after_clear() {
        let deadline = AtomicDeadline::off();
        assert_eq!(deadline.get(), None);
        let start = Tick::after_start(Duration::ZERO);
        assert_eq!(deadline.set(start), None);
        assert_eq!(deadline.get(), Some(start), "the first millisecond is a deadline, too");
        assert_eq!(deadline.clear(), Some(start));
        assert_eq!(deadline.clear(), None);
    }

    #[test]
    fn replace_succeeds_only_with_the_current_deadline() {
        let deadline = AtomicDeadline::off();
        let (one, two) =
            (Tick::after_start(Duration::from_secs(1)), Tick::after_start(Duration::from_secs(2)));
        assert!(deadline.replace(None, one));
        assert!(!deadline.replace(None, two));
        assert!(deadline.replace(Some(one), two));
        assert_eq!(deadline.get(), Some(two));
    }

    #[test]
    fn restart_succeeds_only_while_off_or_passed() {
        let deadline = AtomicDeadline::off();
        let (start, interval) = (Tick::after_start(Duration::ZERO), Duration::from_secs(1));
        assert!(deadline.try_restart(start, interval));
        assert!(!deadline.try_restart(start, interval));
        assert!(!deadline.try_restart(start + Duration::from_millis(999), interval));
        assert!(deadline.try_restart(start + interval, interval));
        assert_eq!(deadline.get(), Some(start + interval + interval));
    }

    #[test]
    fn ticks_count_milliseconds_and_saturate() {
        let tick = Tick::after_start(Duration::from_secs(1));
        assert_eq!((tick + Duration::from_millis(5)).duration_since(tick), Duration::from_millis(5));
        assert_eq!(tick.duration_since(tick + Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(tick + Duration::MAX, Tick(u64::MAX));
        let now = Tick::now();
        assert!(now >= Tick::after_start(Duration::ZERO) && Tick::now() >= now);
    }
}
