//! Access tokens without a refresh token: one request for all.

use std::time::Duration;

use super::setup::{Callers, Provider, client_credentials, config, shared, start};
use crate::harness::{Redis, Sidekey, assert_eventually};

/// Calls every process at once, and asserts the status of every response.
async fn all_answer(processes: &[Sidekey], status: u16) {
    let calls = processes.iter().map(|process| process.get("/api/x"));
    for response in futures_util::future::join_all(calls).await {
        assert_eq!(response.status, status);
    }
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn fleet_start_makes_one_token_request() {
    let (provider, redis) = (Provider::new(LONG), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let config = config(&shared(&redis), &upstream, &client_credentials(&endpoint));
    let processes = start(&config, 10).await;
    for process in &processes {
        assert_eq!(process.get("/api/x").await.status, 200);
    }
    assert_eq!(provider.requests(), 1);
    let mut by = [0, 0];
    for process in &processes {
        for (sum, who) in by.iter_mut().zip(["self", "peer"]) {
            let count = process.metric("sidekey_shared_tokens_total", &[("by", who)]).await;
            *sum += u64::from(count.is_some_and(|count| count > 0.5));
        }
        assert_eq!(process.metric("sidekey_shared_store_up", &[]).await, Some(1.0));
    }
    assert_eq!(by, [1, 9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fleet_makes_one_token_request_for_each_expiry() {
    let (provider, redis) = (Provider::new(Duration::from_secs(5)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let config = config(&shared(&redis), &upstream, &client_credentials(&endpoint));
    let processes = start(&config, 10).await;
    let callers = Callers::of(&processes);
    assert_eventually(Duration::from_secs(40), "five tokens are issued", async || provider.issued() >= 5)
        .await;
    assert_eq!(callers.stop().await, Vec::<String>::new());
    // A token is usable for four seconds and refreshed after three at the earliest.
    let state = provider.state.lock();
    let between = state.issued.windows(2).map(|pair| pair[1].at - pair[0].at);
    let least = between.min().unwrap();
    assert!(least > Duration::from_millis(2900), "one request for each expiry: {least:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_token_is_replaced_once_for_the_fleet() {
    let (provider, redis) = (Provider::new(LONG), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let config = config(&shared(&redis), &upstream, &client_credentials(&endpoint));
    let processes = start(&config, 10).await;
    for process in &processes {
        assert_eq!(process.get("/api/x").await.status, 200);
    }
    provider.revoke_all();
    all_answer(&processes, 200).await;
    assert_eq!(provider.requests(), 2, "the first one, and one for all rejections");
}

#[tokio::test(flavor = "multi_thread")]
async fn upstream_that_rejects_all_tokens_causes_few_requests() {
    let (provider, redis) = (Provider::new(LONG), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    upstream.respond_with(|_| crate::harness::MockResponse::status(401));
    let config = config(&shared(&redis), &upstream, &client_credentials(&endpoint));
    let processes = start(&config, 10).await;
    for _ in 0..3 {
        all_answer(&processes, 401).await;
    }
    assert_eq!(provider.requests(), 2, "within `min_interval` one refresh of the whole fleet");
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_of_one_process_is_the_failure_of_all() {
    let (provider, redis) = (Provider::new(LONG), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let refusal = crate::harness::MockResponse::status(429).header("Retry-After", "3");
    provider.state.lock().refusal = Some(refusal);
    let config = config(&shared(&redis), &upstream, &client_credentials(&endpoint));
    let processes = start(&config, 10).await;
    for process in &processes {
        process.logged_like("token not obtained").await;
    }
    assert_eq!(provider.requests(), 1, "the others know what it was answered");
    provider.state.lock().refusal = None;
    for process in &processes {
        process.ready().await;
    }
    assert_eq!(provider.requests(), 2);
}
