//! A cluster whose slot is moved to another node while the fleet works.

use std::time::Duration;

use super::setup::{Callers, KEY, Provider, client_credentials, config, refresh_token, start};
use crate::harness::{RedisCluster, Request, Sidekey, StoreServer, assert_eventually};

const WAIT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The store of these tests. A step may wait for as long as a move of the slot takes here.
fn patient(store: &RedisCluster) -> String {
    store.shared(KEY).replace("timeout: 1s", "timeout: 10s")
}

/// A credential that may be refreshed again at once.
fn soon(auth: &str) -> String {
    format!("{auth}, token_request: {{ min_interval: 1ms }}")
}

/// How often this node has answered with this error.
async fn errors(store: &RedisCluster, node: usize, code: &str) -> u64 {
    let count = store.nodes[node].info(&format!("errorstat_{code}")).await;
    count.and_then(|count| count.strip_prefix("count=")?.parse().ok()).unwrap_or_default()
}

/// Moves the slot of the records to another node, and has a token rejected while that goes on.
async fn move_under_a_refresh(store: &RedisCluster, provider: &Provider, process: &Sidekey, from: usize) {
    let to = (from + 1) % 3;
    let (asked, divided) = (errors(store, from, "ASK").await, errors(store, to, "TRYAGAIN").await);
    store.begin_move(from, to).await;
    provider.revoke_all();
    let url = process.url("/api/x");
    let rejected = tokio::spawn(async move { Request::get(url).send().await.status });
    assert_eventually(WAIT, "a step was sent on, and could not be made", async || {
        errors(store, from, "ASK").await > asked && errors(store, to, "TRYAGAIN").await > divided
    })
    .await;
    store.end_move(from, to).await;
    assert_eq!(rejected.await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn fleet_goes_on_while_its_slot_is_moved() {
    for software in [StoreServer::Redis, StoreServer::Valkey] {
        let store = RedisCluster::start(software, None, false).await;
        for auth in [client_credentials, refresh_token] {
            let provider = Provider::new(HOUR);
            let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
            let config = config(&patient(&store), &upstream, &soon(&auth(&endpoint)));
            let processes = start(&config, 4).await;
            for process in &processes {
                process.ready().await;
                process.logged("shared store connected").await;
            }
            let callers = Callers::of(&processes);
            let from = store.node_that_serves().await;
            for (moves, process) in processes.iter().take(3).enumerate() {
                move_under_a_refresh(&store, &provider, process, (from + moves) % 3).await;
                assert_eq!(provider.requests(), 2 + moves, "one more for all of them, {software:?}");
            }
            assert_eq!(callers.stop().await, Vec::<String>::new(), "no request failed");
            for process in &processes {
                assert!(!process.log().contains("shared store not available"), "{}", process.log());
                let up = process.metric("sidekey_shared_store_up", &[]).await;
                assert_eq!(up, Some(1.0));
            }
            assert_eq!(provider.state.lock().reused, Vec::<String>::new(), "no grant was lost");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slot_that_stays_between_two_nodes_is_a_store_that_is_away() {
    let store = RedisCluster::start(StoreServer::Redis, None, false).await;
    let provider = Provider::new(HOUR);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let config = config(&store.shared(KEY), &upstream, &soon(&client_credentials(&endpoint)));
    let processes = start(&config, 2).await;
    for process in &processes {
        process.ready().await;
        process.logged("shared store connected").await;
    }
    let from = store.node_that_serves().await;
    store.begin_move(from, (from + 1) % 3).await;
    for process in &processes {
        let logged = process.logged_like("shared store not available").await;
        assert!(logged["message"].as_str().unwrap().contains("(TRYAGAIN)"), "{logged}");
    }
    let file = processes[0].dir().join("sidekey.yaml");
    let check = ["check", "--online", "--config", file.to_str().unwrap()];
    let output = Sidekey::command(&check, &[]).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        !output.status.success() && printed.contains("FAILED: the slot of the records is being moved"),
        "{printed}"
    );
    // Each goes on alone, at a time of its own.
    provider.revoke_all();
    for process in &processes {
        let works = async || process.get("/api/x").await.status == 200;
        assert_eventually(WAIT, "the process has a token of its own", works).await;
    }
    assert_eq!(provider.requests(), 3);
    store.end_move(from, (from + 1) % 3).await;
    for process in &processes {
        let up = async || process.metric("sidekey_shared_store_up", &[]).await == Some(1.0);
        assert_eventually(WAIT, "the store is up", up).await;
    }
    let output = Sidekey::command(&check, &[]).await;
    assert!(output.status.success(), "{output:?}");
}
