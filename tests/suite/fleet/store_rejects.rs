//! The store is there, and rejects what it is asked: that is no busy holder, and no reason to spend a refresh token.

use std::time::Duration;

use super::setup::{Callers, Provider, client_credentials, config, refresh_token, shared, start};
use crate::harness::{Redis, Sidekey, assert_eventually};

const WAIT: Duration = Duration::from_secs(40);

/// Breaks a store while a fleet with tokens and one with refresh tokens use it, and heals it. `says` is in the log of both.
async fn goes_on(break_and_heal: [&[&[&str]]; 2], says: &str) {
    let mut redis = Redis::start(&[]).await;
    let [plain, rotating] = [Provider::new(Duration::from_secs(5)), Provider::new(Duration::from_secs(6))];
    let (of_plain, of_rotating) = (plain.serve().await, rotating.serve().await);
    let (upstream, other) = (plain.upstream().await, rotating.upstream().await);
    let alone = start(&config(&shared(&redis), &upstream, &client_credentials(&of_plain)), 3).await;
    let waiting = start(&config(&shared(&redis), &other, &refresh_token(&of_rotating)), 3).await;
    for process in alone.iter().chain(&waiting) {
        process.ready().await;
        process.logged("shared store connected").await;
    }
    let callers = Callers::of(&alone);
    run(&redis, break_and_heal[0]).await;
    redis.log_in("n3w-CANARY");
    let is_up = async |process: &Sidekey, expected| {
        process.metric("sidekey_shared_store_up", &[]).await == Some(expected)
    };
    for process in alone.iter().chain(&waiting) {
        assert_eventually(WAIT, "the store is not up", async || is_up(process, 0.0).await).await;
        process.logged_like("shared store not available").await;
        assert_eventually(WAIT, "the log says why", async || process.log().contains(says)).await;
    }
    let requests = rotating.requests();
    for process in &alone {
        let asked =
            async || process.metric("sidekey_shared_tokens_total", &[("by", "alone")]).await > Some(0.5);
        assert_eventually(WAIT, "each process requests its own token", asked).await;
    }
    for process in &waiting {
        let ended = async || process.get("/api/x").await.status == 503;
        assert_eventually(WAIT, "the token has ended", ended).await;
    }
    assert_eq!(rotating.requests(), requests, "no refresh token is spent");
    run(&redis, break_and_heal[1]).await;
    for process in alone.iter().chain(&waiting) {
        assert_eventually(WAIT, "the store is up", async || is_up(process, 1.0).await).await;
    }
    for process in &waiting {
        assert_eventually(WAIT, "there is a token", async || process.get("/api/x").await.status == 200).await;
    }
    assert_eq!(callers.stop().await, Vec::<String>::new(), "no request failed");
    let state = rotating.state.lock();
    assert_eq!((&state.reused, state.requests), (&Vec::new(), state.issued.len()), "no grant was lost");
}

async fn run(redis: &Redis, commands: &[&[&str]]) {
    for command in commands {
        let answer = redis.cli(command).await;
        assert!(!answer.contains("ERR"), "{command:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn store_without_memory_is_no_busy_holder() {
    let set = |value: &'static str| ["CONFIG", "SET", "maxmemory", value];
    goes_on([&[&set("1")], &[&set("0")]], "no memory left (OOM)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn store_with_another_password_is_no_busy_holder() {
    let set = |value: &'static str| ["CONFIG", "SET", "requirepass", value];
    // Connections that are open stay logged in.
    let break_it: [&[&str]; 3] = [
        &set("n3w-CANARY"),
        &["-a", "n3w-CANARY", "CLIENT", "KILL", "TYPE", "pubsub"],
        &["-a", "n3w-CANARY", "CLIENT", "KILL", "TYPE", "normal"],
    ];
    goes_on([&break_it, &[&set("")]], "(NOAUTH)").await;
}
