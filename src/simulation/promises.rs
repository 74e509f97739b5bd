//! What must not happen.

use std::collections::BTreeMap;

/// What happened, by its name, and what of it broke a promise.
#[derive(Default)]
pub(crate) struct Promises {
    broken: BTreeMap<&'static str, (u32, String)>,
    seen: BTreeMap<&'static str, u32>,
}

impl Promises {
    /// Records that a promise was broken. The first time is described in the failure.
    pub(crate) fn broken(&mut self, promise: &'static str, how: impl FnOnce() -> String) {
        let (count, first) = self.broken.entry(promise).or_insert_with(|| (0, String::new()));
        if *count == 0 {
            *first = how();
        }
        *count += 1;
    }

    /// Records that something happened which has to happen for the run to mean anything.
    pub(crate) fn seen(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Fails if a promise was broken, or if something that is named here happened too seldom.
    pub(crate) fn assert_kept(&self, seed: u64, needed: &[(&str, u32)]) {
        println!("seed {seed}: {:?}", self.seen);
        assert!(self.broken.is_empty(), "SIDEKEY_CHAOS_SEED={seed}: broken promises: {:#?}", self.broken);
        for (what, count) in needed {
            let times = self.seen.get(what).copied().unwrap_or_default();
            assert!(
                times >= *count,
                "SIDEKEY_CHAOS_SEED={seed}: {what} happened {times} times: the run is no test"
            );
        }
    }
}
