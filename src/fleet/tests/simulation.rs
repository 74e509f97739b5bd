//! Hours of faults. `SIDEKEY_FLEET_SEEDS=1000 cargo test --lib fleet::tests::simulation` tries more of them.

use std::sync::Arc;
use std::time::Duration;

use super::memory_store::World;
use super::process::{Kind, PLAIN, Process, ROTATING};
use super::provider::Provider;

/// Seeds of the ordinary suite.
const SEEDS: u64 = 20;
/// Simulated time of each.
const HOURS: Duration = Duration::from_secs(2 * 3600);
const LIFETIME: Duration = Duration::from_secs(60);
const PROCESSES: usize = 8;
/// As long as the longest lease, the time to settle, and a slow answer.
const GRACE: Duration = Duration::from_secs(60);

/// What may happen.
#[derive(Clone, Copy, Default)]
struct Faults {
    kills: bool,
    outages: bool,
    /// The store comes back without anything.
    forgets: bool,
    /// The store comes back as it was a while ago.
    goes_back: bool,
    slow: bool,
}

struct Outcome {
    requests: usize,
    kills: usize,
    outages: usize,
    reused: Vec<u64>,
    /// Whether all processes have a value at the end.
    all_usable: bool,
    without: Duration,
}

fn simulate(seed: u64, kind: &Kind, faults: Faults, grace: Duration) -> Outcome {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let grace = if kind.rotates { grace } else { Duration::MAX };
        let (world, provider) = (World::new(), Provider::new(LIFETIME, grace));
        let start = |world: &Arc<World>| Process::start(world, &provider, kind);
        let mut processes: Vec<_> = (0..PROCESSES).map(|_| start(&world)).collect();
        let (mut kills, mut outages) = (0, 0);
        let mut snapshot = world.snapshot();
        let end = tokio::time::Instant::now() + HOURS;
        // The first value is there.
        tokio::time::sleep(Duration::from_secs(20)).await;
        while tokio::time::Instant::now() < end {
            let old = std::mem::replace(&mut snapshot, world.snapshot());
            tokio::time::sleep(Duration::from_secs_f64(fastrand::f64() * 60.0)).await;
            if faults.slow {
                *provider.slowest.lock() = Duration::from_secs(fastrand::u64(0..20));
            }
            if faults.kills && fastrand::bool() {
                kills += 1;
                processes.swap_remove(fastrand::usize(..processes.len())).kill();
                processes.push(start(&world));
            }
            if faults.outages && fastrand::u8(..4) == 0 {
                outages += 1;
                world.go_down();
                tokio::time::sleep(Duration::from_secs_f64(fastrand::f64() * 20.0)).await;
                if faults.forgets && fastrand::bool() {
                    world.forget();
                } else if faults.goes_back && fastrand::bool() {
                    old(&world);
                }
                world.come_up();
                // Not before everybody has noticed: what dies with the store is lost.
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        }
        *provider.slowest.lock() = Duration::from_millis(500);
        tokio::time::sleep(Duration::from_secs(120)).await;
        let without = processes.iter().map(|process| *process.seen.without.lock()).sum();
        let all_usable = processes.iter().all(Process::is_usable);
        Outcome {
            requests: provider.requests(),
            kills,
            outages,
            reused: provider.reused(),
            all_usable,
            without,
        }
    })
}

fn with_seeds(kind: &Kind, faults: Faults, grace: Duration, check: impl Fn(&Outcome) -> bool) {
    let seeds = std::env::var("SIDEKEY_FLEET_SEEDS").map_or(SEEDS, |text| text.parse().expect("a number"));
    for seed in 0..seeds {
        let outcome = simulate(seed, kind, faults, grace);
        let Outcome { requests, kills, outages, reused, all_usable, without } = &outcome;
        assert!(
            reused.is_empty() && *all_usable && check(&outcome),
            "seed {seed}, refresh tokens: {}: {requests} requests, {kills} kills, {outages} outages, reused {reused:?}, usable at the end: {all_usable}, \
             without a value for {without:?}",
            kind.rotates
        );
    }
}

/// Requests of a fleet that refreshes at three quarters of the lifetime each time.
fn most_requests() -> usize {
    usize::try_from(HOURS.as_secs() * 4 / (LIFETIME.as_secs() * 3)).expect("a small number") + 4
}

#[test]
fn fleet_makes_one_request_for_each_expiry() {
    for kind in [PLAIN(), ROTATING()] {
        with_seeds(&kind, Faults::default(), Duration::ZERO, |outcome| {
            outcome.requests <= most_requests() && outcome.without.is_zero()
        });
    }
}

#[test]
fn slow_provider_causes_no_second_request() {
    with_seeds(&ROTATING(), Faults { slow: true, ..Faults::default() }, Duration::ZERO, |outcome| {
        outcome.requests <= most_requests()
    });
}

#[test]
fn process_that_dies_costs_one_request_at_most() {
    let faults = Faults { kills: true, ..Faults::default() };
    for kind in [PLAIN(), ROTATING()] {
        with_seeds(&kind, faults, GRACE, |outcome| outcome.requests <= most_requests() + outcome.kills);
    }
}

#[test]
fn store_that_is_away_costs_no_grant() {
    let faults = Faults { outages: true, slow: true, ..Faults::default() };
    with_seeds(&ROTATING(), faults, Duration::ZERO, |_| true);
    with_seeds(&PLAIN(), faults, Duration::ZERO, |outcome| {
        outcome.requests <= most_requests() + outcome.outages * PROCESSES
    });
}

#[test]
fn store_that_forgets_costs_no_grant() {
    let faults = Faults { outages: true, forgets: true, ..Faults::default() };
    with_seeds(&ROTATING(), faults, Duration::ZERO, |_| true);
    with_seeds(&PLAIN(), faults, Duration::ZERO, |_| true);
}

#[test]
fn store_that_loses_its_last_writes_costs_no_grant() {
    let faults = Faults { outages: true, goes_back: true, ..Faults::default() };
    with_seeds(&ROTATING(), faults, Duration::ZERO, |_| true);
    with_seeds(&PLAIN(), faults, Duration::ZERO, |_| true);
}

#[test]
fn slow_provider_and_store_that_loses_its_locks_cost_no_grant() {
    for (forgets, goes_back) in [(true, false), (false, true)] {
        let faults = Faults { outages: true, slow: true, forgets, goes_back, ..Faults::default() };
        with_seeds(&ROTATING(), faults, Duration::ZERO, |_| true);
    }
}

#[test]
fn all_faults_together_cost_no_grant() {
    let faults = Faults { kills: true, outages: true, slow: true, ..Faults::default() };
    with_seeds(&ROTATING(), faults, GRACE, |_| true);
    with_seeds(&PLAIN(), faults, GRACE, |_| true);
}
