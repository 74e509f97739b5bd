//! The wall clock of a test at paused time: it goes on with tokio's clock, and can be set.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

thread_local! {
    static CLOCK: Cell<Option<Clock>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Clock {
    start: (Instant, SystemTime),
    /// Seconds that it was set forward.
    ahead: i64,
}

/// The clock of this thread is the real one again if this is dropped.
pub(crate) struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        CLOCK.set(None);
    }
}

/// Starts the clock of this thread.
pub(crate) fn start() -> Guard {
    CLOCK.set(Some(Clock { start: (Instant::now(), SystemTime::now()), ahead: 0 }));
    Guard(())
}

/// Sets the clock forward, or back.
pub(crate) fn set_forward(seconds: i64) {
    let clock = CLOCK.get().expect("a clock that was started");
    CLOCK.set(Some(Clock { ahead: clock.ahead + seconds, ..clock }));
}

/// Seconds that the clock was set forward altogether.
pub(crate) fn ahead() -> i64 {
    CLOCK.get().map_or(0, |clock| clock.ahead)
}

/// What the wall clock shows: the real one, unless this thread has started another.
pub(crate) fn now() -> SystemTime {
    let Some(Clock { start, ahead }) = CLOCK.get() else { return SystemTime::now() };
    start.1 + start.0.elapsed() + Duration::from_secs(ahead.try_into().expect("a clock that is never behind"))
}
