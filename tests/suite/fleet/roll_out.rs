//! Two configurations, two keys and two clocks in one fleet.

use std::time::Duration;

use super::setup::{Callers, KEY, Provider, client_credentials, config, refresh_token, shared, start};
use crate::harness::{Redis, Sidekey, assert_eventually};

const WAIT: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn new_client_secret_continues_the_grant_of_the_old_one() {
    let (provider, redis) = (Provider::new(Duration::from_secs(5)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let old = config(&shared(&redis), &upstream, &refresh_token(&endpoint));
    let mut processes = start(&old, 4).await;
    for process in &processes {
        process.ready().await;
    }
    processes.extend(start(&old.replace("s3cret-CANARY", "n3w-CANARY"), 4).await);
    let callers = Callers::of(&processes);
    let issued = provider.issued();
    assert_eventually(WAIT, "three more tokens are issued", async || provider.issued() >= issued + 3).await;
    assert_eq!(callers.stop().await, Vec::<String>::new());
    let state = provider.state.lock();
    assert_eq!((&state.reused, state.requests), (&Vec::new(), state.issued.len()));
    let between = state.issued.windows(2).map(|pair| pair[1].at - pair[0].at);
    assert!(between.min().unwrap() > Duration::from_millis(2500), "both have the same token");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_two_client_secrets_are_kept_apart() {
    let (provider, redis) = (Provider::new(Duration::from_secs(3600)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let old = config(&shared(&redis), &upstream, &client_credentials(&endpoint));
    let mut processes = start(&old, 3).await;
    processes.extend(start(&old.replace("s3cret-CANARY", "n3w-CANARY"), 3).await);
    for process in &processes {
        assert_eq!(process.get("/api/x").await.status, 200);
    }
    assert_eq!(provider.requests(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn key_is_replaced_while_the_fleet_runs() {
    let (provider, redis) = (Provider::new(Duration::from_secs(4)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let old = config(&shared(&redis), &upstream, &refresh_token(&endpoint));
    let new = "another-key-of-the-fleet-CANARY-987654321";
    let with = |keys: &str| old.replace(&format!("key: {KEY}"), &format!("key: {keys}"));
    let steps = [
        old.clone(),
        with(&format!("[{KEY}, {new}]")),
        with(&format!("[{new}, {KEY}]")),
        with(&format!("[{new}]")),
    ];
    let mut running: Vec<Sidekey> = Vec::new();
    for step in steps {
        // Processes of this step, and of the one before.
        let started = start(&step, 2).await;
        let all: Vec<_> = running.drain(..).chain(started).collect();
        for process in &all {
            process.ready().await;
        }
        let issued = provider.issued();
        assert_eventually(WAIT, "two more tokens are issued", async || provider.issued() >= issued + 2).await;
        for process in &all {
            assert_eq!(process.get("/api/x").await.status, 200);
        }
        running = all.into_iter().rev().take(2).collect();
    }
    let state = provider.state.lock();
    assert_eq!((&state.reused, state.requests), (&Vec::new(), state.issued.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_change_nothing() {
    let (provider, redis) = (Provider::new(Duration::from_secs(5)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let config = config(&shared(&redis), &upstream, &refresh_token(&endpoint));
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    assert!(std::path::Path::new(library).exists(), "libfaketime is not installed; run: make test-deps");
    let mut processes = start(&config, 3).await;
    for offset in ["+600", "-600"] {
        let launcher =
            format!("export LD_PRELOAD={library} FAKETIME={offset} FAKETIME_DONT_FAKE_MONOTONIC=1; exec");
        processes.push(Sidekey::configured(&config).launched_by(&launcher).start().await);
    }
    for process in &processes {
        process.ready().await;
    }
    let off = processes.iter().map(|process| {
        let shown = process.events()[0]["timestamp"].as_str().unwrap().to_owned();
        let shown = chrono::DateTime::parse_from_rfc3339(&shown).unwrap().timestamp();
        (shown - chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).timestamp()).abs() > 500
    });
    assert_eq!(off.collect::<Vec<_>>(), [false, false, false, true, true]);
    let callers = Callers::of(&processes);
    let issued = provider.issued();
    assert_eventually(WAIT, "three more tokens are issued", async || provider.issued() >= issued + 3).await;
    assert_eq!(callers.stop().await, Vec::<String>::new());
    let state = provider.state.lock();
    assert_eq!((&state.reused, state.requests), (&Vec::new(), state.issued.len()));
    let between = state.issued.windows(2).map(|pair| pair[1].at - pair[0].at);
    assert!(between.min().unwrap() > Duration::from_millis(2500), "one request for each expiry");
}
