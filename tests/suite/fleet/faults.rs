//! Processes die, and the store fails, at the worst moments. The provider accepts a refresh token again for half a minute, as providers
//! do whose answer may be lost; it ends the grant at any later use.

use std::time::{Duration, Instant};

use super::setup::{
    Callers, Provider, client_credentials, config, holder, kill, refresh_token, shared, start,
};
use crate::harness::{MockUpstream, Redis, Sidekey, assert_eventually};

const WAIT: Duration = Duration::from_secs(30);

/// Waits for the next token request; returns which process makes it.
async fn next_holder(provider: &Provider, endpoint: &MockUpstream, processes: &[Sidekey]) -> usize {
    let requests = provider.requests();
    let mut found = None;
    assert_eventually(WAIT, "a process requests a token", async || {
        found = (provider.requests() > requests).then(|| holder(processes, endpoint)).flatten();
        found.is_some()
    })
    .await;
    found.unwrap()
}

async fn replace(processes: &mut Vec<Sidekey>, callers: &mut Callers, at: usize, config: &str) {
    let process = processes.remove(at);
    callers.leave(&process);
    kill(process).await;
    let another = start(config, 1).await.remove(0);
    another.ready().await;
    callers.add(&another);
    processes.push(another);
}

#[tokio::test(flavor = "multi_thread")]
async fn death_of_the_holder_costs_one_request_and_no_grant() {
    let (provider, redis) = (Provider::new(Duration::from_secs(5)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    provider.state.lock().grace = Duration::from_secs(30);
    provider.state.lock().delay = Duration::from_millis(400);
    let config = config(&shared(&redis), &upstream, &refresh_token(&endpoint));
    let mut processes = start(&config, 6).await;
    for process in &processes {
        process.ready().await;
    }
    let mut callers = Callers::of(&processes);
    let (before, began, mut kills) = (provider.requests(), Instant::now(), 0);
    for _ in 0..4 {
        let at = next_holder(&provider, &endpoint, &processes).await;
        replace(&mut processes, &mut callers, at, &config).await;
        kills += 1;
    }
    let (requests, took) = (provider.requests() - before, began.elapsed());
    assert_eq!(callers.stop().await, Vec::<String>::new());
    assert_eq!(provider.state.lock().reused, Vec::<String>::new(), "no grant was lost");
    // A token is refreshed after three seconds at the earliest.
    let expiries = usize::try_from(took.as_secs() / 3 + 1).unwrap();
    assert!(requests <= expiries + kills, "{requests} requests, {expiries} expiries, {kills} kills");
}

#[tokio::test(flavor = "multi_thread")]
async fn death_between_answer_and_write_costs_no_grant() {
    let (provider, redis) = (Provider::new(Duration::from_secs(10)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    provider.state.lock().grace = Duration::from_secs(30);
    provider.state.lock().delay = Duration::from_millis(300);
    let config = config(&shared(&redis), &upstream, &refresh_token(&endpoint));
    let mut processes = start(&config, 4).await;
    for process in &processes {
        process.ready().await;
    }
    let at = next_holder(&provider, &endpoint, &processes).await;
    // The answer comes, and cannot be written.
    redis.freeze(true);
    processes[at].logged_like("shared store not written").await;
    kill(processes.remove(at)).await;
    redis.freeze(false);
    let issued = provider.issued();
    assert_eventually(WAIT, "two more tokens are issued", async || provider.issued() >= issued + 2).await;
    for process in &processes {
        assert_eventually(WAIT, "there is a token", async || process.get("/api/x").await.status == 200).await;
    }
    assert_eq!(provider.state.lock().reused, Vec::<String>::new(), "no grant was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_that_waits_for_the_store_is_written_by_its_holder() {
    let (provider, redis) = (Provider::new(Duration::from_secs(10)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    // No second use is accepted.
    provider.state.lock().delay = Duration::from_millis(300);
    let config = config(&shared(&redis), &upstream, &refresh_token(&endpoint));
    let processes = start(&config, 6).await;
    for process in &processes {
        process.ready().await;
    }
    let callers = Callers::of(&processes);
    let at = next_holder(&provider, &endpoint, &processes).await;
    redis.freeze(true);
    // Longer than the lock lasts.
    processes[at].logged_like("shared store not written").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    redis.freeze(false);
    let up = async || processes[at].metric("sidekey_shared_store_up", &[]).await == Some(1.0);
    assert_eventually(WAIT, "the store is up", up).await;
    let issued = provider.issued();
    assert_eventually(WAIT, "one more token is issued", async || provider.issued() > issued).await;
    drop(callers);
    let state = provider.state.lock();
    assert_eq!((&state.reused, state.requests), (&Vec::new(), state.issued.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn store_without_memory_is_no_busy_holder() {
    let (provider, redis) = (Provider::new(Duration::from_secs(5)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let plain = config(&shared(&redis), &upstream, &client_credentials(&endpoint));
    let processes = start(&plain, 3).await;
    for process in &processes {
        process.ready().await;
    }
    let callers = Callers::of(&processes);
    assert_eq!(redis.cli(&["CONFIG", "SET", "maxmemory", "1"]).await.trim(), "OK");
    for process in &processes {
        let logged = process.logged_like("shared store not available").await;
        assert!(logged["message"].as_str().unwrap().contains("OOM"), "{logged}");
        let alone =
            async || process.metric("sidekey_shared_tokens_total", &[("by", "alone")]).await > Some(0.5);
        assert_eventually(WAIT, "each process requests its own token", alone).await;
        assert_eq!(process.metric("sidekey_shared_store_up", &[]).await, Some(0.0));
    }
    assert_eq!(redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).await.trim(), "OK");
    for process in &processes {
        let up = async || process.metric("sidekey_shared_store_up", &[]).await == Some(1.0);
        assert_eventually(WAIT, "the store is up", up).await;
    }
    assert_eq!(callers.stop().await, Vec::<String>::new());
}
