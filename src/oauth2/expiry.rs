//! When a token expires, on two clocks.
//!
//! The monotonic clock stands still while a laptop sleeps; the wall clock can be set back. A token is past its expiry
//! as soon as either clock says so.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A point in time on the monotonic and the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    monotonic: Instant,
    wall: SystemTime,
    lifetime: Duration,
}

impl Expiry {
    /// `lifetime` after `start`, which both clocks showed at the same moment.
    pub fn after(start: ClockReading, lifetime: Duration) -> Self {
        Self { monotonic: start.monotonic + lifetime, wall: start.wall + lifetime, lifetime }
    }

    /// At a time of the wall clock, and no later than `lifetime` from now, should that clock have been set back.
    pub fn until(wall: SystemTime, lifetime: Duration) -> Self {
        let left = wall.duration_since(SystemTime::now()).unwrap_or_default().min(lifetime);
        Self { lifetime, ..Self::after(ClockReading::now(), left) }
    }

    /// Whether the token must no longer be sent.
    pub fn is_past(&self) -> bool {
        Instant::now() >= self.monotonic || SystemTime::now() >= self.wall
    }

    /// What is left, by the clock that leaves less.
    pub fn remaining(&self) -> Duration {
        let by_wall = self.wall.duration_since(SystemTime::now()).unwrap_or_default();
        self.monotonic.saturating_duration_since(Instant::now()).min(by_wall)
    }

    /// The whole lifetime, as issued.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// By the wall clock.
    pub fn wall(&self) -> SystemTime {
        self.wall
    }

    /// As Unix time, for metrics and the status page.
    pub fn unix_seconds(&self) -> f64 {
        unix_seconds(self.wall)
    }
}

/// Now, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct ClockReading {
    monotonic: Instant,
    wall: SystemTime,
}

impl ClockReading {
    /// Reads both clocks.
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// As Unix time.
    pub fn unix_seconds(&self) -> f64 {
        unix_seconds(self.wall)
    }

    /// How long ago that was.
    pub fn elapsed(&self) -> Duration {
        self.monotonic.elapsed()
    }

    /// As it would be had the machine slept since: only the wall clock went on.
    #[cfg(test)]
    pub(crate) fn with_wall_clock_back(self, slept: Duration) -> Self {
        Self { wall: self.wall - slept, ..self }
    }
}

pub(crate) fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn either_clock_ends_a_token() {
        let now = ClockReading::now();
        assert!(!Expiry::after(now, HOUR).is_past());
        // The machine slept for two hours: only the wall clock knows.
        let slept = ClockReading { monotonic: now.monotonic, wall: now.wall - 2 * HOUR };
        assert!(Expiry::after(slept, HOUR).is_past());
        assert_eq!(Expiry::after(slept, HOUR).remaining(), Duration::ZERO);
        // The wall clock was set back two hours: only the monotonic clock knows.
        let Some(earlier) = now.monotonic.checked_sub(2 * HOUR) else { return };
        let set_back = ClockReading { monotonic: earlier, wall: now.wall };
        assert!(Expiry::after(set_back, HOUR).is_past());
    }
}
