//! Simulation of the refresh schedule: ten thousand sidecars over a day, and one identity provider. No clock
//! and no network; the random numbers have a seed, so that each run has the same result. `cargo test fleet --
//! --nocapture` prints it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use fastrand::Rng;
use sidekey::refresh::schedule::{Failure, refresh_in, retry_in};

const SIDECARS: u16 = 10_000;
const LIFETIME: Duration = Duration::from_secs(3600);
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// A time in milliseconds.
type Millis = u64;

/// The identity provider.
struct Provider {
    /// Start and end, in seconds, of the time in which every request fails.
    outage: Option<(u64, u64)>,
    /// `Retry-After` during the outage.
    retry_after: Option<Duration>,
    /// Token requests in each second.
    requests: Vec<u32>,
}

/// One sidecar.
#[derive(Clone, Copy, Default)]
struct Sidecar {
    failures: u32,
    lifetime: Option<Duration>,
    expires: Millis,
}

struct Outcome {
    requests: Vec<u32>,
    /// Number of sidecars that were without a token for a while.
    late: u32,
    /// Second at which the last sidecar had a token again after the outage.
    recovered: u64,
}

/// Simulates a day. Each sidecar makes its first request at `start(random)` seconds.
fn day(
    start: impl Fn(&mut Rng) -> f64,
    outage: Option<(u64, u64)>,
    retry_after: Option<Duration>,
) -> Outcome {
    let mut random = Rng::with_seed(7);
    let seconds = usize::try_from(DAY).unwrap();
    let mut provider = Provider { outage, retry_after, requests: vec![0; seconds] };
    let mut sidecars = vec![Sidecar::default(); SIDECARS.into()];
    let mut queue: BinaryHeap<Reverse<(Millis, usize)>> = (0..usize::from(SIDECARS))
        .map(|sidecar| Reverse((millis(Duration::from_secs_f64(start(&mut random))), sidecar)))
        .collect();
    let (mut late, mut recovered) = (0, 0);
    while let Some(Reverse((now, index))) = queue.pop() {
        let Some(count) = provider.requests.get_mut(usize::try_from(now / 1000).unwrap()) else { continue };
        *count += 1;
        let sidecar = &mut sidecars[index];
        let is_down = provider.outage.is_some_and(|(from, to)| (from * 1000..to * 1000).contains(&now));
        let wait = if is_down {
            sidecar.failures += 1;
            let failure = Failure {
                count: sidecar.failures,
                refused: false,
                retry_after: provider.retry_after,
                remaining: None,
                lifetime: sidecar.lifetime,
            };
            retry_in(failure, random.f64())
        } else {
            if sidecar.failures > 0 {
                recovered = recovered.max(now / 1000);
                late += u32::from(sidecar.expires < now);
            }
            *sidecar = Sidecar { failures: 0, lifetime: Some(LIFETIME), expires: now + millis(LIFETIME) };
            refresh_in(LIFETIME, random.f64())
        };
        queue.push(Reverse((now + millis(wait), index)));
    }
    Outcome { requests: provider.requests, late, recovered }
}

fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap()
}

/// Requests per second: mean, busiest second, busiest ten seconds.
#[derive(Debug)]
struct Load {
    mean: f64,
    peak: f64,
    peak_of_ten: f64,
}

#[allow(clippy::print_stdout)] // the numbers are what the test is for
fn load(what: &str, requests: &[u32]) -> Load {
    let per_second = |seconds: &[u32]| {
        f64::from(seconds.iter().sum::<u32>()) / f64::from(u32::try_from(seconds.len()).unwrap())
    };
    let peak = |width: usize| requests.chunks_exact(width).map(per_second).fold(0.0, f64::max);
    let load = Load { mean: per_second(requests), peak: peak(1), peak_of_ten: peak(10) };
    println!(
        "{what:<44} mean {:6.2}/s   busiest second {:5} ({:5.1} x mean)   busiest ten {:6.1}/s ({:4.1} x mean)",
        load.mean,
        load.peak,
        load.peak / load.mean,
        load.peak_of_ten,
        load.peak_of_ten / load.mean,
    );
    load
}

/// The part of the day between two seconds.
fn between(requests: &[u32], from: u64, to: u64) -> &[u32] {
    &requests[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()]
}

/// Requests per second if every sidecar refreshes at four fifths of the lifetime, evenly spread.
fn ideal() -> f64 {
    f64::from(SIDECARS) / (0.8 * LIFETIME.as_secs_f64())
}

#[test]
fn refresh_schedule_steady_state_is_even() {
    let outcome = day(|random| random.f64() * 3600.0, None, None);
    let load = load("steady state", between(&outcome.requests, 2 * HOUR, DAY));
    assert!((0.98..1.04).contains(&(load.mean / ideal())), "as many requests as the lifetime requires");
    // 79,200 seconds of a Poisson process with this mean have no busier second than mean + 7 standard
    // deviations.
    assert!(load.peak < load.mean + 7.0 * load.mean.sqrt());
    assert!(load.peak_of_ten < 3.0 * load.mean);
}

#[test]
fn refresh_schedule_spreads_out_a_roll_out() {
    let outcome = day(|random| random.f64() * 60.0, None, None);
    load("roll-out of all within a minute: first minute", between(&outcome.requests, 0, 60));
    let first = load("  first renewal", between(&outcome.requests, 2400, 3400));
    let last = load("  after twelve hours", between(&outcome.requests, 12 * HOUR, DAY));
    // The jitter spreads a minute's wave over a tenth of the lifetime at once…
    assert!(
        first.peak_of_ten < f64::from(SIDECARS) / 300.0,
        "the first renewals are spread over six minutes"
    );
    // …and the next waves are wider and wider.
    assert!(last.peak_of_ten < 4.0 * last.mean);
}

#[test]
fn refresh_schedule_recovers_from_outage_without_a_peak() {
    for (what, retry_after) in [("", None), (", Retry-After: 30", Some(Duration::from_secs(30)))] {
        let (from, to) = (10 * HOUR, 10 * HOUR + 600);
        let outcome = day(|random| random.f64() * 3600.0, Some((from, to)), retry_after);
        let before = load("before the outage", between(&outcome.requests, 2 * HOUR, from));
        let during = load(&format!("ten-minute outage{what}"), between(&outcome.requests, from, to));
        let after = load("  the two minutes after it", between(&outcome.requests, to, to + 120));
        let wave = load("  the next renewals", between(&outcome.requests, to + 2400, to + 3600));
        println!(
            "  recovered {} s after its end; {} of {SIDECARS} sidecars were ever without a token",
            outcome.recovered - to,
            outcome.late
        );
        // In ten minutes a fifth of the sidecars come due. Each retries on average every half minute (full
        // jitter up to a minute), after a handful of quick first tries: 2,100 / 30 = 70 a second at the end,
        // 20 times the mean.
        assert!(during.peak_of_ten < 25.0 * before.mean);
        // No sidecar retries faster when the provider recovers, so the end is no busier than the outage
        // itself.
        assert!(after.peak_of_ten < 1.1 * during.peak_of_ten);
        // The sidecars that waited are refreshed together once; the jitter spreads them out.
        assert!(wave.peak_of_ten < 6.0 * before.mean);
        assert!(outcome.recovered - to <= 66, "the longest step of the back-off");
        // Refreshed at four fifths, a token outlives ten minutes: 12 minutes are left, minus the jitter.
        assert!(outcome.late < u32::from(SIDECARS / 100));
    }
}
