//! Stores of several servers whose primary fails, or is cut off.

use std::time::Duration;

use super::setup::{Callers, KEY, Provider, config, next_holder, refresh_token, request_token, start};
use crate::harness::{Redis, RedisCluster, RedisSentinels, StoreServer, assert_eventually};

const WAIT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The generation of the one record that a server has.
async fn generation(server: &Redis) -> u64 {
    let keys = server.keys("{sidekey}:*:r").await;
    server
        .cli(&["HGET", keys.first().map_or("", String::as_str), "g"])
        .await
        .trim()
        .parse()
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn failover_that_loses_a_write_loses_no_grant() {
    let store = RedisSentinels::start(StoreServer::Redis, None).await;
    let provider = Provider::new(Duration::from_secs(30));
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    provider.state.lock().delay = Duration::from_millis(1500);
    let processes = start(&config(&store.shared(KEY), &upstream, &refresh_token(&endpoint)), 6).await;
    for process in &processes {
        process.ready().await;
    }
    let callers = Callers::of(&processes);
    let (primary, replica) = (&store.servers[0], &store.servers[1]);
    let before = generation(primary).await;
    let requested = request_token(&processes[0]);
    next_holder(&provider, &endpoint, &processes).await;
    // The replica gets nothing any more. The answer of the provider is written to the primary alone, which is stopped then.
    replica.freeze(true);
    primary.cli(&["CLIENT", "KILL", "TYPE", "replica"]).await;
    assert_eventually(WAIT, "the record is written", async || generation(primary).await > before).await;
    primary.freeze(true);
    replica.freeze(false);
    store.is_primary(1).await;
    assert_eventually(WAIT, "the fleet gives the store what it has lost", async || {
        generation(replica).await > before
    })
    .await;
    for process in &processes {
        let up = async || process.metric("sidekey_shared_store_up", &[]).await == Some(1.0);
        assert_eventually(WAIT, "the store is up", up).await;
        process.logged("shared store has another primary").await;
    }
    // It goes on as the primary that it was.
    primary.freeze(false);
    requested.await.unwrap();
    request_token(&processes[1]).await.unwrap();
    assert_eq!(callers.stop().await, Vec::<String>::new(), "no request failed");
    let state = provider.state.lock();
    assert_eq!((&state.reused, state.requests), (&Vec::new(), state.issued.len()), "no grant was lost");
    // The first one, and the two that were requested.
    assert_eq!(state.requests, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_primary_is_not_asked_about_a_refresh_token() {
    let store = RedisSentinels::start(StoreServer::Redis, None).await;
    let provider = Provider::new(HOUR);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let config = config(&store.shared(KEY), &upstream, &refresh_token(&endpoint));
    let first = start(&config, 1).await.remove(0);
    first.ready().await;
    first.logged("shared store connected").await;
    // While the first process has nothing to ask, its primary is replaced, and another process spends the refresh token.
    store.servers[0].freeze(true);
    store.is_primary(1).await;
    let second = start(&config, 1).await.remove(0);
    second.ready().await;
    provider.revoke_all();
    assert_eq!(second.get("/api/x").await.status, 200);
    assert_eq!(provider.issued(), 2);
    // The old primary goes on, with the old refresh token.
    store.servers[0].freeze(false);
    assert_eq!(first.get("/api/x").await.status, 200);
    let state = provider.state.lock();
    assert_eq!((&state.reused, state.requests), (&Vec::new(), state.issued.len()), "no grant was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_that_replaces_a_primary_is_followed() {
    let store = RedisCluster::start(StoreServer::Redis, None, true).await;
    let provider = Provider::new(Duration::from_secs(30));
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let processes = start(&config(&store.shared(KEY), &upstream, &refresh_token(&endpoint)), 4).await;
    for process in &processes {
        process.ready().await;
    }
    let callers = Callers::of(&processes);
    let at = store.node_of_records().await;
    store.nodes[at].freeze(true);
    assert_eventually(WAIT, "the replica is a primary", async || {
        store.nodes[at + 3].info("role").await.as_deref() == Some("master")
    })
    .await;
    for process in &processes {
        process.logged("shared store has another primary").await;
    }
    let issued = provider.issued();
    assert_eventually(WAIT, "two more tokens are issued", async || provider.issued() >= issued + 2).await;
    assert_eq!(callers.stop().await, Vec::<String>::new(), "no request failed");
    let state = provider.state.lock();
    assert_eq!((&state.reused, state.requests), (&Vec::new(), state.issued.len()), "no grant was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_token_waits_for_more_than_half_of_the_sentinels() {
    let store = RedisSentinels::start(StoreServer::Redis, None).await;
    let provider = Provider::new(Duration::from_secs(6));
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let processes = start(&config(&store.shared(KEY), &upstream, &refresh_token(&endpoint)), 2).await;
    for process in &processes {
        process.ready().await;
    }
    // As in a network that is divided: the primary answers, and one sentinel of three.
    store.freeze_sentinel(1, true);
    store.freeze_sentinel(2, true);
    let requests = provider.requests();
    let uncertain = "which server is the primary is not certain: 1 of 3 name the same one";
    for process in &processes {
        let ended = async || process.get("/api/x").await.status == 503;
        assert_eventually(WAIT, "the token has ended", ended).await;
    }
    assert!(processes.iter().any(|process| process.log().contains(uncertain)));
    assert!(provider.requests() <= requests + 1, "one may have been on its way");
    let before = provider.requests();
    store.freeze_sentinel(1, false);
    for process in &processes {
        assert_eventually(WAIT, "there is a token", async || process.get("/api/x").await.status == 200).await;
    }
    assert!(provider.requests() > before);
    let state = provider.state.lock();
    assert_eq!((&state.reused, state.requests), (&Vec::new(), state.issued.len()), "no grant was lost");
}
