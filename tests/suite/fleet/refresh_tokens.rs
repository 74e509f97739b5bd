//! Rotating refresh tokens: no grant is lost.

use std::time::Duration;

use super::setup::{Callers, Provider, config, kill, refresh_token, shared, start};
use crate::harness::{Redis, assert_eventually};

#[tokio::test(flavor = "multi_thread")]
async fn rotating_refresh_token_is_spent_once_for_each_expiry() {
    let (provider, redis) = (Provider::new(Duration::from_secs(5)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let config = config(&shared(&redis), &upstream, &refresh_token(&endpoint));
    let processes = start(&config, 10).await;
    for process in &processes {
        process.ready().await;
    }
    let callers = Callers::of(&processes);
    assert_eventually(Duration::from_secs(40), "five tokens are issued", async || provider.issued() >= 5)
        .await;
    assert_eq!(callers.stop().await, Vec::<String>::new());
    let state = provider.state.lock();
    assert_eq!((&state.reused, state.requests), (&Vec::new(), state.issued.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_provider_keeps_the_lock_over_three_leases() {
    let (provider, redis) = (Provider::new(Duration::from_secs(3600)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    // The lease of the first token is three seconds.
    provider.state.lock().delay = Duration::from_millis(9500);
    let config = config(&shared(&redis), &upstream, &refresh_token(&endpoint));
    let processes = start(&config, 5).await;
    for process in &processes {
        process.ready().await;
    }
    let state = provider.state.lock();
    assert_eq!((&state.reused, state.requests), (&Vec::new(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_token_is_also_kept_on_this_machine() {
    let (provider, mut redis) = (Provider::new(Duration::from_secs(3600)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let folder = tempfile::TempDir::new().unwrap();
    let state = format!(
        "state: {{ dir: '{}', key: {} }}\n",
        folder.path().join("state").display(),
        super::setup::KEY
    );
    let config = state + &config(&shared(&redis), &upstream, &refresh_token(&endpoint));
    let process = start(&config, 1).await.remove(0);
    process.ready().await;
    kill(process).await;
    // Store and fleet are lost together: the first refresh token of the configuration is spent.
    redis.kill().await;
    redis.restart().await;
    let process = start(&config, 1).await.remove(0);
    process.ready().await;
    assert_eq!(process.get("/api/x").await.status, 200);
    let state = provider.state.lock();
    assert_eq!((&state.reused, state.requests), (&Vec::new(), 2));
}
