//! The store is away: processes go on alone, and refresh tokens wait.

use std::time::Duration;

use super::setup::{Callers, Provider, client_credentials, config, refresh_token, shared, start};
use crate::harness::{Redis, assert_eventually};

const WAIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn fleet_without_store_goes_on_and_comes_together_again() {
    let (provider, mut redis) = (Provider::new(Duration::from_secs(5)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let config = config(&shared(&redis), &upstream, &client_credentials(&endpoint));
    let processes = start(&config, 5).await;
    for process in &processes {
        process.ready().await;
    }
    let callers = Callers::of(&processes);
    redis.kill().await;
    for process in &processes {
        process.logged_like("shared store not available").await;
        assert_eq!(process.metric("sidekey_shared_store_up", &[]).await, Some(0.0));
        let alone =
            async || process.metric("sidekey_shared_tokens_total", &[("by", "alone")]).await > Some(0.5);
        assert_eventually(WAIT, "each process requests its own token", alone).await;
    }
    // Empty.
    redis.restart().await;
    for process in &processes {
        let up = async || process.metric("sidekey_shared_store_up", &[]).await == Some(1.0);
        assert_eventually(WAIT, "the store is up again", up).await;
    }
    let issued = provider.issued();
    assert_eventually(WAIT, "four more tokens are issued", async || provider.issued() >= issued + 4).await;
    assert_eq!(callers.stop().await, Vec::<String>::new());
    let state = provider.state.lock();
    let last: Vec<_> = state.issued.iter().rev().take(3).map(|issued| issued.at).collect();
    assert!(
        last.windows(2).all(|pair| pair[0] - pair[1] > Duration::from_millis(2900)),
        "one request for all again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_token_is_not_spent_without_the_store() {
    let (provider, mut redis) = (Provider::new(Duration::from_secs(6)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let config = config(&shared(&redis), &upstream, &refresh_token(&endpoint));
    let processes = start(&config, 5).await;
    for process in &processes {
        process.ready().await;
    }
    redis.kill().await;
    let requests = provider.requests();
    for process in &processes {
        // The token at hand serves to its end.
        let ended = async || process.get("/api/x").await.status == 503;
        assert_eventually(WAIT, "the token has ended", ended).await;
        process.logged_like("token not obtained: the shared store cannot be used").await;
    }
    assert_eq!(provider.requests(), requests);
    redis.restart().await;
    for process in &processes {
        assert_eventually(WAIT, "there is a token again", async || process.get("/api/x").await.status == 200)
            .await;
    }
    assert_eq!(provider.state.lock().reused, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn store_that_forgets_all_is_given_the_refresh_token() {
    let (provider, mut redis) = (Provider::new(Duration::from_secs(5)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let config = config(&shared(&redis), &upstream, &refresh_token(&endpoint));
    let mut processes = start(&config, 4).await;
    for process in &processes {
        process.ready().await;
    }
    assert_eventually(WAIT, "the refresh token was rotated", async || provider.issued() >= 2).await;
    redis.kill().await;
    redis.restart().await;
    // A process that has nothing but the first refresh token, which is spent.
    processes.extend(start(&config, 1).await);
    let issued = provider.issued();
    assert_eventually(WAIT, "three more tokens are issued", async || provider.issued() >= issued + 3).await;
    redis.cli(&["FLUSHALL"]).await;
    processes.extend(start(&config, 1).await);
    let issued = provider.issued();
    assert_eventually(WAIT, "three more tokens are issued", async || provider.issued() >= issued + 3).await;
    for process in &processes {
        process.ready().await;
    }
    assert_eq!(provider.state.lock().reused, Vec::<String>::new());
}
