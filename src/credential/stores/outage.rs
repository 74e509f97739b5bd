//! The time after a failure, in which nothing is sent: a hundred secrets of a store that does not answer cost one time limit, not a
//! hundred.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::secret::SourceError;

/// The failure of a store, as long as it is assumed to last.
pub(super) struct Outage {
    /// The longest time in which nothing is sent.
    max_wait: Duration,
    last: Mutex<Option<Last>>,
}

struct Last {
    error: SourceError,
    failures: u32,
    until: Instant,
}

impl Outage {
    /// No failure yet.
    pub(super) fn new(max_wait: Duration) -> Self {
        Self { max_wait, last: Mutex::default() }
    }

    /// The last error, if nothing is to be sent yet.
    pub(super) fn check(&self) -> Result<(), SourceError> {
        match &*self.last.lock() {
            Some(last) if last.until > Instant::now() => Err(last.error.clone()),
            _ => Ok(()),
        }
    }

    /// Notes a failure. Nothing is sent for a time that starts with a second and doubles with each failure.
    pub(super) fn failed(&self, error: &SourceError) {
        let mut last = self.last.lock();
        let failures = last.as_ref().map_or(0, |last| last.failures);
        let wait = Duration::from_secs(1 << failures.min(8)).min(self.max_wait);
        *last = Some(Last { error: error.clone(), failures: failures + 1, until: Instant::now() + wait });
    }

    /// Notes a success.
    pub(super) fn over(&self) {
        *self.last.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_is_repeated_until_it_is_over() {
        let outage = Outage::new(Duration::from_secs(300));
        assert_eq!(outage.check(), Ok(()));
        let error = SourceError::passing("down");
        outage.failed(&error);
        assert_eq!(outage.check(), Err(error.clone()));
        outage.over();
        assert_eq!(outage.check(), Ok(()));
        let short = Outage::new(Duration::ZERO);
        short.failed(&error);
        assert_eq!(short.check(), Ok(()), "tried again");
    }
}
