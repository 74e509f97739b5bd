//! What the answers of a source's server show of it, and of this machine.

use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

/// What a source has learnt of the server that it asks. Shared by the source and by the store that shows it.
#[derive(Debug, Default)]
pub struct SourceServer(Mutex<ServerFacts>);

/// What was learnt last; `None` is what is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ServerFacts {
    /// How far this machine's clock is ahead of the server's, in seconds; negative if it is behind.
    pub clock_skew: Option<f64>,
    /// When the server's certificate ends, in seconds of Unix time.
    pub certificate_end: Option<f64>,
}

impl SourceServer {
    /// Records the clock skew.
    pub fn set_clock_skew(&self, skew: f64) {
        self.0.lock().clock_skew = Some(skew);
    }

    /// Records when the certificate ends that the server presented.
    pub fn set_certificate_end(&self, end: f64) {
        self.0.lock().certificate_end = Some(end);
    }

    /// What is known.
    pub fn facts(&self) -> ServerFacts {
        *self.0.lock()
    }
}

/// How far this machine's clock is ahead of a server's, in seconds, negative if it is behind: the server wrote `date` (in whole
/// seconds, rounded down) between these two readings of the wall clock. 0 if the difference is within what the round trip and
/// the rounding leave open; `None` if the wall clock was set back in between.
pub fn clock_skew(date: SystemTime, before: SystemTime, after: SystemTime) -> Option<f64> {
    let half_second = Duration::from_millis(500);
    let half_trip = after.duration_since(before).ok()? / 2;
    let (here, there) = (before + half_trip, date + half_second);
    let skew = match here.duration_since(there) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    };
    let is_certain = skew.abs() > (half_trip + half_second).as_secs_f64();
    Some(if is_certain { skew } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(seconds: f64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn clock_skew_is_known_up_to_the_round_trip_and_a_second() {
        for (date, before, after, skew) in [
            // The clocks agree: whole seconds are rounded down.
            (100.0, 100.0, 100.1, 0.0),
            (100.0, 100.9, 101.0, 0.0),
            (100.0, 99.9, 100.0, 0.0),
            // The server may have written it at any time of a long round trip.
            (100.0, 95.0, 105.0, 0.0),
            (100.0, 120.0, 130.0, 24.5),
            (100.0, 160.0, 161.0, 60.0),
            (1100.0, 100.0, 100.0, -1000.5),
        ] {
            let found = clock_skew(at(date), at(before), at(after)).unwrap();
            assert!((found - skew).abs() < 1e-6, "{date} {before} {after}: {found}");
        }
    }

    #[test]
    fn clock_that_was_set_back_during_the_request_gives_no_skew() {
        assert_eq!(clock_skew(at(100.0), at(100.0), at(50.0)), None);
    }
}
