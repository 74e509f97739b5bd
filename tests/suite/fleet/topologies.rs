//! Stores of several servers: a primary that sentinels watch over, and a cluster; and Valkey.

use std::time::Duration;

use super::documented::user_rule;
use super::setup::{KEY, Provider, client_credentials, config, start};
use crate::harness::{Pki, Redis, RedisCluster, RedisSentinels, Sidekey, StoreServer, assert_eventually};

const WAIT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Asserts that processes of this section share one token, and get news of each other.
async fn share(shared: &str) -> Vec<Sidekey> {
    let provider = Provider::new(HOUR);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let processes = start(&config(shared, &upstream, &client_credentials(&endpoint)), 3).await;
    for process in &processes {
        assert_eq!(process.get("/api/x").await.status, 200);
        process.logged("shared store connected").await;
    }
    assert_eq!(provider.requests(), 1);
    provider.revoke_all();
    assert_eq!(processes[0].get("/api/x").await.status, 200);
    for process in &processes {
        let has_both = async || {
            let count = async |by| {
                process.metric("sidekey_shared_tokens_total", &[("by", by)]).await.unwrap_or_default()
            };
            count("self").await + count("peer").await > 1.5
        };
        assert_eventually(WAIT, "each process has got the new token by itself", has_both).await;
        assert!(!process.log().contains("CANARY"), "{}", process.log());
    }
    assert_eq!(provider.requests(), 2);
    processes
}

#[tokio::test(flavor = "multi_thread")]
async fn fleet_shares_through_the_primary_that_sentinels_name() {
    let store = RedisSentinels::start(StoreServer::Redis, None).await;
    // Any one of them can name it.
    store.freeze_sentinel(0, true);
    share(&store.shared(KEY)).await;
    store.freeze_sentinel(0, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_and_store_are_reached_by_tls() {
    let pki = Pki::new();
    let store = RedisSentinels::start(StoreServer::Redis, Some(&pki)).await;
    share(&store.shared(KEY)).await;
    for wrong in
        ["master: main, password: wrong-CANARY", "master: other, password: pa55-of-the-sentinels-CANARY"]
    {
        let shared = store.shared(KEY).replace("master: main, password: pa55-of-the-sentinels-CANARY", wrong);
        let (ok, text) = check(&shared).await;
        let expected =
            if wrong.contains("wrong") { "(WRONGPASS)" } else { "it knows no primary of the name other" };
        assert!(!ok && text.contains("FAILED: the sentinel 127.0.0.1:") && text.contains(expected), "{text}");
        assert!(!text.contains("CANARY"), "{text}");
    }
    // With a user of the fewest permissions at each.
    let rule = user_rule("u5er-CANARY");
    let rule: Vec<_> = ["ACL", "SETUSER"].into_iter().chain(rule.split(' ').skip(1)).collect();
    for server in &store.servers {
        assert_eq!(server.cli(&rule).await.trim(), "OK");
    }
    let at_sentinels =
        "ACL SETUSER finder on >f1nd-CANARY resetchannels -@all +ping +sentinel|get-master-addr-by-name";
    store.at_sentinels(&at_sentinels.split(' ').collect::<Vec<_>>()).await;
    let shared = store
        .shared(KEY)
        .replace("password: pa55-of-the-sentinels-CANARY", "username: finder, password: f1nd-CANARY");
    let shared =
        shared.replace("password: pa55-of-the-store-CANARY", "username: sidekey, password: u5er-CANARY");
    let (ok, text) = check(&shared).await;
    assert!(ok && text.contains("shared store"), "{text}");
    share(&shared).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fleet_shares_through_the_node_that_has_the_slot() {
    let store = RedisCluster::start(StoreServer::Redis, None, false).await;
    share(&store.shared(KEY)).await;
    let at = store.node_of_records().await;
    for (index, node) in store.nodes.iter().enumerate() {
        let keys = node.cli(&["--scan", "--pattern", "{sidekey}:*:r"]).await;
        assert_eq!(
            keys.lines().filter(|line| !line.is_empty()).count(),
            usize::from(index == at),
            "{index}: {keys}"
        );
    }
    // Without `cluster` the node says what is missing.
    let other = &store.nodes[(at + 1) % 3];
    let shared =
        format!("shared: {{ url: '{}', password: pa55-of-the-cluster-CANARY, key: {KEY} }}", other.url());
    let (ok, text) = check(&shared).await;
    assert!(!ok && text.contains("with `cluster: true`"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_is_reached_by_tls() {
    let pki = Pki::new();
    let store = RedisCluster::start(StoreServer::Redis, Some(&pki), false).await;
    share(&store.shared(KEY)).await;
    let rule = format!("{} +cluster|slots +asking", user_rule("u5er-CANARY"));
    let rule: Vec<_> = ["ACL", "SETUSER"].into_iter().chain(rule.split(' ').skip(1)).collect();
    for node in &store.nodes {
        assert_eq!(node.cli(&rule).await.trim(), "OK");
    }
    let shared = store
        .shared(KEY)
        .replace("password: pa55-of-the-cluster-CANARY", "username: sidekey, password: u5er-CANARY");
    let (ok, text) = check(&shared).await;
    assert!(ok && text.contains("shared store"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn valkey_is_a_store_alone_with_sentinels_and_as_cluster() {
    let alone = Redis::start_as(StoreServer::Valkey, &[], None).await;
    share(&super::setup::shared(&alone)).await;
    let sentinels = RedisSentinels::start(StoreServer::Valkey, None).await;
    share(&sentinels.shared(KEY)).await;
    let cluster = RedisCluster::start(StoreServer::Valkey, None, false).await;
    share(&cluster.shared(KEY)).await;
}

/// Asserts that the commands use the store of a fleet, by way of the servers that lead to it.
async fn commands_use(shared: &str) {
    let provider = Provider::new(HOUR);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let (folder, auth) = (tempfile::tempdir().unwrap(), client_credentials(&endpoint));
    let file = folder.path().join("services.yaml");
    std::fs::write(&file, config(shared, &upstream, &auth)).unwrap();
    let run = async |arguments: &[&str]| {
        let arguments = [arguments, &["--config", file.to_str().unwrap()]].concat();
        let output = Sidekey::command(&arguments, &[]).await;
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success() && !printed.contains("CANARY"), "{arguments:?}: {printed}");
        printed
    };
    let printed = run(&["check", "--online"]).await;
    let line = printed.lines().find(|line| line.contains("shared store")).unwrap();
    let servers = shared.matches("://127.0.0.1:").count();
    assert!(line.contains(" OK") && line.matches("127.0.0.1:").count() == servers, "{line}");
    assert_eq!(provider.requests(), 0);
    // The token that the command has requested is that of the whole fleet.
    run(&["test", "api"]).await;
    let process = start(&config(shared, &upstream, &auth), 1).await.remove(0);
    process.ready().await;
    assert_eq!(process.metric("sidekey_shared_tokens_total", &[("by", "peer")]).await, Some(1.0));
    assert_eq!(process.get("/api/x").await.status, 200);
    run(&["test", "api"]).await;
    assert_eq!(provider.requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_use_the_store_that_sentinels_name() {
    let store = RedisSentinels::start(StoreServer::Redis, None).await;
    commands_use(&store.shared(KEY)).await;
    // A primary that is another one, and one of three sentinels that does not answer.
    store.servers[0].freeze(true);
    store.is_primary(1).await;
    store.freeze_sentinel(2, true);
    commands_use(&store.shared(KEY)).await;
    store.servers[0].freeze(false);
    store.freeze_sentinel(2, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_use_the_node_of_a_cluster_that_has_the_slot() {
    let store = RedisCluster::start(StoreServer::Redis, None, false).await;
    commands_use(&store.shared(KEY)).await;
    // One that has another slot, and does not answer.
    let other = (store.node_of_records().await + 1) % 3;
    store.nodes[other].freeze(true);
    commands_use(&store.shared(KEY)).await;
    store.nodes[other].freeze(false);
}

/// Runs `sidekey check --online`; returns whether all is well, and what was printed.
async fn check(shared: &str) -> (bool, String) {
    let provider = Provider::new(HOUR);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("services.yaml");
    std::fs::write(&file, config(shared, &upstream, &client_credentials(&endpoint))).unwrap();
    let output = Sidekey::command(&["check", "--online", "--config", file.to_str().unwrap()], &[]).await;
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}
