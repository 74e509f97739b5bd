//! The difference between this machine's clock and that of a service, learnt from a rejected request.

use std::sync::atomic::{AtomicI64, Ordering};

use httparse::Header;

use super::time::unix_seconds;
use crate::proto::origin_date;

/// A signature is accepted if its time is at most five minutes off. A difference of less than this, in seconds, is
/// therefore no reason for a rejection.
pub(in crate::credential) const TOLERANCE: i64 = 4 * 60;

/// How many seconds are added to this machine's time.
#[derive(Debug, Default)]
pub(super) struct ClockCorrection(AtomicI64);

impl ClockCorrection {
    /// The correction in seconds.
    pub(super) fn seconds(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Learns from the `Date` of a response that rejects a signature. `now` is this machine's time in seconds since
    /// 1970. Returns the new correction if the time of the signature was off.
    pub(super) fn learn(&self, fields: &[Header<'_>], now: i64) -> Option<i64> {
        let server = unix_seconds(origin_date(fields)?);
        let used = now.saturating_add(self.seconds());
        if (server - used).abs() < TOLERANCE {
            return None;
        }
        self.0.store(server - now, Ordering::Relaxed);
        Some(server - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(date: &'static str) -> [Header<'static>; 2] {
        let server = Header { name: "Server", value: b"AmazonS3" };
        [server, Header { name: "date", value: date.as_bytes() }]
    }

    #[test]
    fn clock_is_corrected_by_the_date_of_a_rejection() {
        let clock = ClockCorrection::default();
        // 1440938160
        let noon = fields("Sun, 30 Aug 2015 12:36:00 GMT");
        assert_eq!(clock.learn(&noon, 1_440_938_160 + 239), None);
        assert_eq!(clock.learn(&noon, 1_440_938_160 + 900), Some(-900));
        assert_eq!(clock.seconds(), -900);
        assert_eq!(clock.learn(&noon, 1_440_938_160 + 900), None, "the corrected time is right");
        assert_eq!(clock.learn(&noon, 1_440_938_160), Some(0), "the machine's clock was set");
    }

    #[test]
    fn response_without_a_fresh_date_corrects_nothing() {
        let clock = ClockCorrection::default();
        let age = Header { name: "Age", value: b"1" };
        let [server, date] = fields("Sun, 30 Aug 2015 12:36:00 GMT");
        assert_eq!(clock.learn(&[server, date, age], 0), None);
        assert_eq!(clock.learn(&[server], 0), None);
        assert_eq!(clock.learn(&fields("yesterday"), 0), None);
        assert_eq!(clock.seconds(), 0);
    }
}
