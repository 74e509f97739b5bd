//! A breaker in front of an upstream that fails at times, with requests that end late or are cancelled.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::{CircuitBreaker, Transition};
use crate::simulation::{Promises, paused, with_seeds};

const FAILURE_LIMIT: u32 = 5;
const OPEN_DURATION: Duration = Duration::from_secs(30);
/// The longest time between two requests.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// The longest time that a request takes.
const MAX_LATENCY: Duration = Duration::from_secs(10);

/// A request that was sent.
struct Sent {
    ends: Instant,
    /// Whether there will be a response; `None` if the caller goes away first.
    result: Option<bool>,
    is_probe: bool,
}

struct World {
    random: Rng,
    promises: Promises,
    breaker: CircuitBreaker,
    is_failing: bool,
    /// When the upstream began to fail, or ended it.
    since: Instant,
    in_flight: Vec<Sent>,
    /// Failures without a success between them, as the test counts them.
    failures: u32,
    is_open: bool,
    /// When a request was last sent while the breaker was not closed, or when it opened.
    last_probe: Instant,
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            random: Rng::with_seed(seed),
            promises: Promises::default(),
            breaker: CircuitBreaker::new(FAILURE_LIMIT, OPEN_DURATION),
            is_failing: false,
            since: now,
            in_flight: Vec::new(),
            failures: 0,
            is_open: false,
            last_probe: now,
        }
    }

    /// A request: it is sent, or rejected.
    fn request(&mut self) {
        match self.breaker.try_acquire() {
            Ok(is_probe) => self.send(is_probe),
            Err(wait) => {
                self.promises.seen("rejected requests");
                if !self.is_open {
                    self.promises.broken("a closed breaker rejects nothing", String::new);
                }
                if wait > OPEN_DURATION {
                    self.promises
                        .broken("a caller is told a time within the open duration", || format!("{wait:?}"));
                }
            }
        }
        // A failure that comes late starts the open duration again, and a probe may be late as well.
        let settled = OPEN_DURATION + 2 * MAX_LATENCY + 2 * MAX_PAUSE;
        if self.is_open && !self.is_failing && self.since.elapsed() > settled {
            self.promises.broken("an upstream that works again is used again", || {
                format!("{:?}", self.since.elapsed())
            });
        }
    }

    fn send(&mut self, is_probe: bool) {
        self.promises.seen("requests");
        if self.is_open {
            self.promises.seen("probes");
            // Milliseconds, rounded down, are the resolution of the deadline.
            if self.last_probe.elapsed() + Duration::from_millis(1) < OPEN_DURATION {
                self.promises.broken("an open breaker sends one probe in its time", || {
                    format!("{:?}", self.last_probe.elapsed())
                });
            }
            self.last_probe = Instant::now();
        }
        let latency = MAX_LATENCY.mul_f64(self.random.f64().powi(4));
        let result = (self.random.u32(0..10) > 0).then_some(!self.is_failing);
        if self.is_open && result.is_none() {
            // Nothing is known of the upstream before the next probe.
            self.since = Instant::now();
        }
        self.in_flight.push(Sent { ends: Instant::now() + latency, result, is_probe });
    }

    /// Records the results that are there by now.
    fn finish(&mut self) {
        let now = Instant::now();
        let mut ended: Vec<_> = self.in_flight.extract_if(.., |sent| sent.ends <= now).collect();
        ended.sort_by_key(|sent| sent.ends);
        for Sent { result, is_probe, .. } in ended {
            let Some(is_success) = result else {
                if is_probe {
                    self.promises.seen("probes without a result");
                    self.breaker.probe_ended();
                    // The next request is the probe.
                    self.last_probe = now.checked_sub(OPEN_DURATION).unwrap_or(now);
                }
                continue;
            };
            self.failures = if is_success { 0 } else { self.failures + 1 };
            let must_be_open =
                if is_success { false } else { self.is_open || self.failures >= FAILURE_LIMIT };
            let transition =
                if is_success { self.breaker.record_success() } else { self.breaker.record_failure() };
            let expected = match (self.is_open, must_be_open) {
                (false, true) => Transition::Opened,
                (true, false) => Transition::Closed,
                _ => Transition::None,
            };
            if transition != expected || self.breaker.is_open() != must_be_open {
                self.promises.broken(
                    "as many failures in a row as the limit open it, and a success closes it",
                    || format!("{transition:?} instead of {expected:?} after {} failures", self.failures),
                );
            }
            if !is_success && must_be_open {
                // Each failure starts the open duration again.
                self.last_probe = now;
            }
            self.is_open = must_be_open;
        }
    }
}

async fn run(seed: u64, duration: Duration) {
    let mut world = World::new(seed);
    let start = Instant::now();
    while start.elapsed() < duration {
        if world.random.u32(0..100) == 0 {
            world.is_failing = world.random.bool();
            world.since = Instant::now();
            world.promises.seen("changes");
        }
        world.finish();
        world.request();
        tokio::time::sleep(MAX_PAUSE.mul_f64(world.random.f64().powi(2))).await;
    }
    world.promises.assert_kept(
        seed,
        &[("requests", 1000), ("probes", 50), ("rejected requests", 1000), ("changes", 50)],
    );
}

#[test]
fn days_of_failing_upstream_break_no_promise_of_breaker() {
    with_seeds(|seed, duration| paused().block_on(run(seed, duration)));
}
