//! Processes die, and the store fails, at the worst moments. The provider accepts a refresh token again for half a minute, as providers
//! do whose answer may be lost; it ends the grant at any later use.

use std::time::{Duration, Instant};

use super::setup::{
    Callers, Provider, client_credentials, config, kill, next_holder, refresh_token, shared, start,
};
use crate::harness::{MockResponse, Redis, Sidekey, assert_eventually};

const WAIT: Duration = Duration::from_secs(30);

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
async fn death_of_the_holder_before_its_request_costs_no_grant() {
    let (provider, redis) = (Provider::new(Duration::from_secs(3600)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let config = config(&shared(&redis), &upstream, &refresh_token(&endpoint));
    // The first holder waits for three seconds under its lock, because the store has no record.
    let first = start(&config, 1).await.remove(0);
    assert_eventually(WAIT, "the record is locked", async || !redis.keys("{sidekey}:*:l").await.is_empty())
        .await;
    kill(first).await;
    assert_eq!(provider.requests(), 0);
    for process in start(&config, 3).await {
        process.ready().await;
    }
    let state = provider.state.lock();
    assert_eq!((&state.reused, state.requests), (&Vec::new(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn death_of_the_holder_after_its_write_costs_nothing() {
    let (provider, redis) = (Provider::new(Duration::from_secs(8)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    // No second use is accepted.
    provider.state.lock().delay = Duration::from_millis(300);
    let config = config(&shared(&redis), &upstream, &refresh_token(&endpoint));
    let mut processes = start(&config, 5).await;
    for process in &processes {
        process.ready().await;
    }
    let mut callers = Callers::of(&processes);
    let record = redis.keys("{sidekey}:*:r").await.remove(0);
    let (before, began) = (provider.requests(), Instant::now());
    for _ in 0..2 {
        let at = next_holder(&provider, &endpoint, &processes).await;
        let generation = redis.cli(&["HGET", &record, "g"]).await;
        assert_eventually(WAIT, "the answer is written", async || {
            redis.cli(&["HGET", &record, "g"]).await != generation
        })
        .await;
        replace(&mut processes, &mut callers, at, &config).await;
    }
    let (requests, took) = (provider.requests() - before, began.elapsed());
    assert_eq!(callers.stop().await, Vec::<String>::new());
    // A token of eight seconds is refreshed after five at the earliest.
    let expiries = usize::try_from(took.as_secs() / 5 + 1).unwrap();
    assert!(requests <= expiries, "{requests} requests, {expiries} expiries");
    assert_eq!(provider.state.lock().reused, Vec::<String>::new(), "no grant was lost");
}

/// The lease of a holder has ended while it waits for the answer, and another has the lock.
#[tokio::test(flavor = "multi_thread")]
async fn lock_of_another_is_not_released() {
    let (provider, redis) = (Provider::new(Duration::from_secs(60)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    provider.state.lock().delay = Duration::from_secs(2);
    let config = config(&shared(&redis), &upstream, &client_credentials(&endpoint));
    let failure = MockResponse::status(503).after(Duration::from_secs(2));
    for (refusal, outcome) in [(None, "{sidekey}:*:r"), (Some(failure), "{sidekey}:*:f")] {
        provider.state.lock().refusal = refusal;
        redis.cli(&["FLUSHALL"]).await;
        let process = start(&config, 1).await.remove(0);
        assert_eventually(WAIT, "the record is locked", async || {
            !redis.keys("{sidekey}:*:l").await.is_empty()
        })
        .await;
        let lock = redis.keys("{sidekey}:*:l").await.remove(0);
        assert_eq!(redis.cli(&["SET", &lock, "another", "PX", "600000"]).await.trim(), "OK");
        assert_eventually(WAIT, "the outcome is shared", async || !redis.keys(outcome).await.is_empty())
            .await;
        assert_eq!(redis.cli(&["GET", &lock]).await.trim(), "another", "{outcome}");
        kill(process).await;
    }
}
