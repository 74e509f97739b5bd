//! Ten thousand sidecars and one provider: what provider and store get.

use std::sync::Arc;
use std::time::Duration;

use super::memory_store::World;
use super::process::{PLAIN, Process};
use super::provider::Provider;
use crate::fleet::keys::FleetKeys;
use crate::secret::Secret;

const SIDECARS: usize = 10_000;
const LIFETIME: Duration = Duration::from_secs(3600);
const HOURS: u64 = 4;

#[test]
#[allow(clippy::print_stdout)] // the numbers are what the test is for
fn ten_thousand_sidecars_make_the_requests_of_one() {
    fastrand::seed(7);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let (world, provider) = (World::new(), Provider::new(LIFETIME, Duration::ZERO));
        let keys = Arc::new(FleetKeys::derive(&[Secret::new("one".into()).expect("a secret")]));
        let mut sidecars = Vec::new();
        // A roll-out within a minute.
        for _ in 0..SIDECARS {
            sidecars.push(Process::with_keys(&world, &provider, &PLAIN(), &keys).running());
            tokio::time::sleep(Duration::from_millis(6)).await;
        }
        tokio::time::sleep(Duration::from_secs(HOURS * 3600)).await;
        assert!(sidecars.iter().all(Process::is_usable));
        let requests = provider.requests();
        let steps = world.steps.lock();
        let mut seconds = vec![0_usize; 5 * 3600];
        for step in steps.iter() {
            seconds[usize::try_from(step.as_secs()).expect("a short test")] += 1;
        }
        let busiest = seconds.iter().max().expect("a second");
        println!(
            "{SIDECARS} sidecars, {HOURS} h, tokens of 1 h: {requests} token requests; {} steps of the store, {} a second, {busiest} in \
             the busiest; {} records, {} bytes",
            steps.len(),
            steps.len() / (4 * 3600),
            world.records(),
            world.size(),
        );
        // At three quarters of the lifetime at the earliest.
        assert!(requests <= 6, "{requests}");
        // One to take each token, and few more.
        assert!(steps.len() < SIDECARS * (requests + 1) * 2, "{}", steps.len());
        assert_eq!(world.records(), 1);
    });
}
