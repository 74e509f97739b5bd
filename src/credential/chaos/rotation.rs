//! A secret with a previous one, at an upstream that accepts the one, the other, both or none.

use std::time::Duration;

use fastrand::Rng;
use http::HeaderValue;
use tokio::time::Instant;

use super::{response, sign};
use crate::credential::{Fixed, Rotating, Signer, Verdict};
use crate::simulation::{Promises, paused, with_seeds};

/// By when an upstream that accepts one of two secrets gets that one, if it rejected both before: the interval between two attempts
/// with both, and that between two probes.
const SETTLED: Duration = Duration::from_secs(35);

/// Which of the two secrets are accepted, and since when.
struct Upstream {
    accepts: [bool; 2],
    since: Instant,
    /// Whether it fails without checking the secret.
    is_failing: bool,
}

fn fixed(value: &'static str) -> Box<dyn Signer> {
    Box::new(Fixed::authorization(HeaderValue::from_static(value)))
}

/// The status of an answer.
fn status(upstream: &Upstream, promises: &mut Promises, value: Option<&str>) -> u16 {
    let at = match value {
        Some("Bearer new") => 0,
        Some("Bearer previous") => 1,
        _ => {
            promises.broken("a request is never bare", || format!("{value:?}"));
            return 401;
        }
    };
    match (upstream.is_failing, upstream.accepts[at]) {
        (true, _) => 503,
        (false, true) => 200,
        (false, false) => 401,
    }
}

fn request(upstream: &Upstream, promises: &mut Promises, signer: &Rotating) {
    promises.seen("requests");
    let (mut used, value) = sign(signer, None).expect("a secret is always ready");
    let mut last = status(upstream, promises, value.as_deref());
    if signer.observe(used, &response(last, false)) == Verdict::Retry {
        promises.seen("retries");
        let (again, value) = sign(signer, Some(used)).expect("a secret is always ready");
        used = again;
        last = status(upstream, promises, value.as_deref());
        if signer.observe(used, &response(last, true)) != Verdict::Pass {
            promises.broken("a request is retried once", String::new);
        }
    }
    let is_settled = upstream.since.elapsed() > SETTLED;
    if last == 401 && upstream.accepts.contains(&true) && is_settled {
        promises.broken("a secret that is accepted is used", || format!("{:?}", upstream.accepts));
    }
}

async fn run(seed: u64, duration: Duration) {
    let (mut random, mut promises) = (Rng::with_seed(seed), Promises::default());
    let signer = Rotating::new("chaos", fixed("Bearer new"), fixed("Bearer previous"));
    let start = Instant::now();
    let mut upstream = Upstream { accepts: [true; 2], since: start, is_failing: false };
    while start.elapsed() < duration {
        match random.u32(0..200) {
            0..2 => {
                upstream.accepts = [random.bool(), random.bool()];
                upstream.since = Instant::now();
                promises.seen("changes");
            }
            2..4 => upstream.is_failing = random.bool(),
            _ => request(&upstream, &mut promises, &signer),
        }
        tokio::time::sleep(Duration::from_millis(random.u64(0..20_000))).await;
    }
    promises.assert_kept(seed, &[("requests", 1000), ("retries", 50), ("changes", 20)]);
}

#[test]
fn days_of_rotation_break_no_promise_of_secrets() {
    with_seeds(|seed, duration| paused().block_on(run(seed, duration)));
}
