//! Fifty processes, tokens of five seconds, and everything at once: holders die, and the store is restarted without its data.

use std::time::{Duration, Instant};

use super::setup::{Callers, Provider, config, holder, kill, refresh_token, shared, start};
use crate::harness::{Redis, assert_eventually};

const PROCESSES: usize = 50;
const WAIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn fifty_processes_lose_no_grant_and_no_request() {
    let (provider, mut redis) = (Provider::new(Duration::from_secs(5)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    provider.state.lock().grace = Duration::from_secs(30);
    provider.state.lock().delay = Duration::from_millis(500);
    let config = config(&shared(&redis), &upstream, &refresh_token(&endpoint));
    let mut processes = Vec::new();
    while processes.len() < PROCESSES {
        processes.extend(start(&config, 10).await);
    }
    for process in &processes {
        process.ready().await;
    }
    let mut callers = Callers::every(Duration::from_millis(500), &processes);
    let (before, began, mut kills) = (provider.requests(), Instant::now(), 0);
    while kills < 2 {
        let requests = provider.requests();
        assert_eventually(WAIT, "a token is requested", async || provider.requests() > requests).await;
        let Some(at) = holder(&processes, &endpoint) else { continue };
        let process = processes.remove(at);
        callers.leave(&process);
        kill(process).await;
        kills += 1;
    }
    let (requests, expiries) = (provider.requests() - before, began.elapsed().as_secs() / 3 + 1);
    let expiries = usize::try_from(expiries).unwrap();
    assert!(requests <= expiries + kills, "{requests} requests, {expiries} expiries, {kills} kills");
    redis.kill().await;
    redis.restart().await;
    let issued = provider.issued();
    assert_eventually(WAIT, "two more tokens are issued", async || provider.issued() >= issued + 2).await;
    assert!(callers.answered.load(std::sync::atomic::Ordering::Relaxed) > 500);
    assert_eq!(callers.stop().await, Vec::<String>::new(), "no request failed");
    assert_eq!(provider.state.lock().reused, Vec::<String>::new(), "no grant was lost");
}
