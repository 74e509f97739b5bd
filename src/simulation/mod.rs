//! Tools of simulations: days in a world of faults, at paused time, that count how often a promise is broken, which must be never.
//!
//! Every random number comes from one seed, which a failure prints. `SIDEKEY_CHAOS_SEED` repeats a run, and `SIDEKEY_CHAOS_DAYS` makes it
//! longer: `SIDEKEY_CHAOS_DAYS=1000 cargo test --lib days_of`.

mod promises;

use std::env;
use std::time::Duration;

pub(crate) use self::promises::Promises;

const DAY: Duration = Duration::from_secs(86_400);
/// Seeds of the ordinary suite.
const SEEDS: [u64; 3] = [1, 2, 3];
/// Simulated days of each seed.
const DAYS: u32 = 4;

/// Runs a simulation with each seed.
pub(crate) fn with_seeds(run: impl Fn(u64, Duration)) {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let days = number("SIDEKEY_CHAOS_DAYS").map_or(DAYS, |days| days.try_into().expect("a number of days"));
    match number("SIDEKEY_CHAOS_SEED") {
        Some(seed) => run(seed, DAY * days),
        None => SEEDS.into_iter().for_each(|seed| run(seed, DAY * days)),
    }
}

/// A runtime whose clock is paused: it goes on whenever there is nothing to do.
pub(crate) fn paused() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime")
}
