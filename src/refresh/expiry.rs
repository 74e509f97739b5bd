//! When a value expires, on two clocks.
//!
//! The monotonic clock stops while a machine sleeps; the wall clock can be set back. A value is expired as
//! soon as either clock has passed its expiry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::clock::wall_now;

/// A value that expires.
pub trait Expiring: Send + Sync + 'static {
    /// What the value is called in messages, such as `token`.
    const NAME: &'static str;

    /// When the value must no longer be used.
    fn expiry(&self) -> Expiry;

    /// Number of scopes that were granted, for the log, if the value has scopes.
    fn scope_count(&self) -> Option<usize> {
        None
    }
}

/// A point in time on the monotonic and the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    monotonic: Instant,
    wall: SystemTime,
    lifetime: Duration,
}

impl Expiry {
    /// The end of a lifetime that started at this reading of both clocks.
    pub fn after(start: ClockReading, lifetime: Duration) -> Self {
        Self { monotonic: start.monotonic + lifetime, wall: start.wall + lifetime, lifetime }
    }

    /// The given time of the wall clock, but no later than `lifetime` from now: that clock may have been set
    /// back.
    pub fn until(wall: SystemTime, lifetime: Duration) -> Self {
        let left = wall.duration_since(wall_now()).unwrap_or_default().min(lifetime);
        Self { lifetime, ..Self::after(ClockReading::now(), left) }
    }

    /// The same end, of a value that had this whole lifetime.
    #[must_use]
    pub fn of_lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// Whether the value must no longer be used.
    pub fn is_past(&self) -> bool {
        Instant::now() >= self.monotonic || wall_now() >= self.wall
    }

    /// Time left, by the clock that leaves less.
    pub fn remaining(&self) -> Duration {
        let by_wall = self.wall.duration_since(wall_now()).unwrap_or_default();
        self.monotonic.saturating_duration_since(Instant::now()).min(by_wall)
    }

    /// The whole lifetime, as issued.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The expiry on the wall clock.
    pub fn wall(&self) -> SystemTime {
        self.wall
    }

    /// The expiry as Unix time, for metrics and the status page.
    pub fn unix_seconds(&self) -> f64 {
        unix_seconds(self.wall)
    }
}

/// The time that both clocks showed at the same moment.
#[derive(Debug, Clone, Copy)]
pub struct ClockReading {
    monotonic: Instant,
    wall: SystemTime,
}

impl ClockReading {
    /// Reads both clocks.
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), wall: wall_now() }
    }

    /// The reading as Unix time.
    pub fn unix_seconds(&self) -> f64 {
        unix_seconds(self.wall)
    }

    /// Time since the reading, by the monotonic clock.
    pub fn elapsed(&self) -> Duration {
        self.monotonic.elapsed()
    }

    /// The reading as it would be if the machine had slept since then: only the wall clock went on.
    #[cfg(test)]
    pub(super) fn with_wall_clock_back(self, slept: Duration) -> Self {
        Self { wall: self.wall - slept, ..self }
    }
}

/// A time of the wall clock as Unix time.
pub(super) fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn expiry_is_past_when_either_clock_says_so() {
        let now = ClockReading::now();
        assert!(!Expiry::after(now, HOUR).is_past());
        // The machine slept for two hours: only the wall clock has moved.
        let slept = ClockReading { monotonic: now.monotonic, wall: now.wall - 2 * HOUR };
        assert!(Expiry::after(slept, HOUR).is_past());
        assert_eq!(Expiry::after(slept, HOUR).remaining(), Duration::ZERO);
        // The wall clock was set back by two hours: only the monotonic clock has moved.
        let Some(earlier) = now.monotonic.checked_sub(2 * HOUR) else { return };
        let set_back = ClockReading { monotonic: earlier, wall: now.wall };
        assert!(Expiry::after(set_back, HOUR).is_past());
    }
}
