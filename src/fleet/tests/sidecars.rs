//! Ten thousand sidecars and one provider: what provider and store get. The table in docs/FLEET.md has these numbers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::memory_store::World;
use super::process::{Kind, PLAIN, Process, ROTATING};
use super::provider::Provider;
use crate::fleet::keys::FleetKeys;
use crate::fleet::redis::subscriber::CHECK_INTERVAL;
use crate::refresh::schedule::refresh_in;
use crate::secret::Secret;

const SIDECARS: usize = 10_000;
const LIFETIME: Duration = Duration::from_secs(3600);
const TIME: Duration = Duration::from_secs(4 * 3600);
/// A roll-out within a minute.
const PAUSE: Duration = Duration::from_millis(6);
/// How long the slow provider takes at most. The lock is renewed each second of that.
const SLOWEST: Duration = Duration::from_secs(10);
/// Commands of one check: whether the store can be written, and how many processes there are.
const COMMANDS_OF_A_CHECK: u64 = 2;

/// When something was done, since the start.
struct Times(Vec<Duration>);

impl Times {
    fn on_average(&self) -> usize {
        self.0.len() / usize::try_from(TIME.as_secs()).expect("a short test")
    }

    fn in_busiest_second(&self) -> usize {
        let mut seconds = HashMap::new();
        self.0.iter().for_each(|time| *seconds.entry(time.as_secs()).or_default() += 1);
        seconds.into_values().max().unwrap_or(0)
    }
}

/// What a fleet causes.
struct Load {
    requests: Times,
    steps: Times,
    renewals: usize,
    bytes: usize,
}

/// A fleet of this kind, with a provider whose answers take this long at most.
async fn fleet(kind: &Kind, slowest: Duration) -> Load {
    let (world, provider) = (World::new(), Provider::new(LIFETIME, Duration::ZERO));
    *provider.slowest.lock() = slowest;
    let keys = Arc::new(FleetKeys::derive(&[Secret::new("one".into()).expect("a secret")]));
    let (mut sidecars, start) = (Vec::new(), Instant::now());
    for _ in 0..SIDECARS {
        sidecars.push(Process::with_keys(&world, &provider, kind, &keys).running());
        tokio::time::sleep(PAUSE).await;
    }
    tokio::time::sleep_until(start + TIME).await;
    assert!(sidecars.iter().all(Process::is_usable));
    assert_eq!((provider.reused(), world.records()), (Vec::new(), 1));
    let requests = provider.state.lock().requests.iter().map(|at| *at - start).collect();
    Load {
        requests: Times(requests),
        steps: Times(world.steps.lock().clone()),
        renewals: world.renewals.load(Ordering::Relaxed),
        bytes: world.size(),
    }
}

/// The token requests of as many processes that each request their own tokens.
fn without_a_fleet() -> Times {
    let mut requests = Vec::new();
    let mut start = Duration::ZERO;
    for _ in 0..SIDECARS {
        let mut at = start;
        while at < TIME {
            requests.push(at);
            at += refresh_in(LIFETIME, fastrand::f64());
        }
        start += PAUSE;
    }
    Times(requests)
}

/// The numbers of a row of the table in the page.
fn row(page: &str, name: &str) -> [Option<usize>; 3] {
    let start = format!("| {name} |");
    let line = page.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix('|'));
    let line = line.unwrap_or_else(|| panic!("docs/FLEET.md has no row {name:?}"));
    let cells: Vec<_> = line.split('|').map(|cell| cell.trim().replace(',', "").parse().ok()).collect();
    cells.try_into().expect("three cells")
}

#[test]
fn ten_thousand_sidecars_cause_what_the_page_says() {
    fastrand::seed(7);
    let alone = without_a_fleet();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let [plain, rotating] = runtime.expect("a runtime").block_on(async {
        let plain = fleet(&PLAIN(), Duration::from_millis(500)).await;
        [plain, fleet(&ROTATING(), SLOWEST).await]
    });
    // Two to take each token, and a few more: with a slow provider each process looks again while it waits for its first token.
    for (load, steps_of_a_token) in [(&plain, 2), (&rotating, 3)] {
        let (requests, steps) = (load.requests.0.len(), load.steps.0.len());
        // At three quarters of the lifetime at the earliest.
        assert!(requests <= 6, "{requests}");
        assert!(steps < SIDECARS * (requests + 1) * steps_of_a_token, "{steps}");
    }
    let checks =
        usize::try_from(SIDECARS as u64 * COMMANDS_OF_A_CHECK / CHECK_INTERVAL.as_secs()).expect("a number");
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/FLEET.md");
    let page = std::fs::read_to_string(page).expect("the page");
    // How many there are is up to chance: each token request takes another time.
    let requests = rotating.requests.0.len() as u64;
    let most = usize::try_from(requests * SLOWEST.as_secs()).expect("a number");
    assert_eq!(row(&page, "steps that renew the lock, at most"), [None, Some(0), Some(most)]);
    assert!(plain.renewals == 0 && (1..=most).contains(&rotating.renewals), "{}", rotating.renewals);
    // What is counted, and by how much the page may differ from it, in percent: the order of tasks is not the same in each run.
    let counted = |count: &dyn Fn(&Load) -> usize| [count(&plain), count(&rotating)];
    for (name, alone, [plain, rotating], tolerance) in [
        ("token requests in four hours", Some(alone.0.len()), counted(&|load| load.requests.0.len()), 1),
        (
            "token requests in the busiest second",
            Some(alone.in_busiest_second()),
            counted(&|load| load.requests.in_busiest_second()),
            1,
        ),
        ("steps of the store in four hours", None, counted(&|load| load.steps.0.len()), 15),
        ("steps a second, on average", None, counted(&|load| load.steps.on_average()), 15),
        ("steps in the busiest second", None, counted(&|load| load.steps.in_busiest_second()), 5),
        ("commands a second that check the store", None, [checks; 2], 0),
        ("bytes of the one record", None, counted(&|load| load.bytes), 2),
    ] {
        let counted = [alone, Some(plain), Some(rotating)];
        let is_near = |(stated, counted): (Option<usize>, Option<usize>)| match (stated, counted) {
            (Some(stated), Some(counted)) => stated.abs_diff(counted) * 100 <= counted * tolerance,
            (stated, counted) => stated == counted,
        };
        let stated = row(&page, name);
        assert!(
            stated.into_iter().zip(counted).all(is_near),
            "docs/FLEET.md, {name}: {stated:?}, counted {counted:?}"
        );
    }
}
