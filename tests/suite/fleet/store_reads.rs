//! What the store sees: no request, and nothing that can be read.

use std::time::{Duration, Instant};

use super::setup::{Provider, client_credentials, config, refresh_token, shared, start};
use crate::harness::{Load, Pki, Redis, Request, Sidekey, StoreServer, assert_eventually};

/// Number of requests in which the store must see none.
const REQUESTS: usize = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn store_is_never_asked_for_a_request() {
    let (provider, redis) = (Provider::new(Duration::from_secs(3600)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let config = config(&shared(&redis), &upstream, &client_credentials(&endpoint));
    let processes = start(&config.replace("level: debug", "level: info"), 2).await;
    for process in &processes {
        assert_eq!(process.get("/api/x").await.status, 200);
        process.logged("shared store connected").await;
    }
    let (monitor, began) = (redis.monitor().await, Instant::now());
    let load = Load::start(processes[0].address(), &["/api/x"; 8]);
    for _ in 0..REQUESTS / 5000 {
        load.answers(5000).await;
    }
    let outcome = load.stop().await;
    assert_eq!(outcome.failures, Vec::<String>::new());
    assert!(outcome.answered >= REQUESTS);
    // Every ten seconds a process checks whether the store can be written, and asks for the number of processes.
    let checks = usize::try_from(began.elapsed().as_secs() / 10 + 1).unwrap() * processes.len();
    let seen = monitor.output();
    let commands: Vec<_> =
        seen.lines().filter(|line| line.contains('"') && !line.contains(" lua] ")).collect();
    let is_check = |line: &&&str| line.contains(":probe\"") || line.contains("\"NUMSUB\"");
    assert_eq!(commands.iter().filter(|line| !is_check(line)).collect::<Vec<_>>(), Vec::<&&str>::new());
    assert!(commands.len() <= checks * 2, "{} commands, {checks} checks", commands.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn store_has_nothing_that_can_be_read() {
    let (provider, redis) = (Provider::new(Duration::from_secs(5)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let monitor = redis.monitor().await;
    let two = [client_credentials(&endpoint), refresh_token(&endpoint)];
    for auth in &two {
        let processes = start(&config(&shared(&redis), &upstream, auth), 2).await;
        for process in &processes {
            process.ready().await;
        }
        endpoint.received(2).await;
        for process in &processes {
            let page = Request::get(process.admin_url("/api/v1/services")).send().await.text();
            let shown = [process.log(), process.metrics().await, page].concat();
            assert!(!shown.contains("CANARY"), "{shown}");
        }
    }
    let (dump, seen) = (redis.dump().await, monitor.output());
    assert!(dump.len() > 500 && seen.contains("EVAL"));
    for text in [String::from_utf8_lossy(&dump).into_owned(), seen] {
        for secret in ["CANARY", "s3cret", "client_credentials", "grant_type", "\"me\"", &endpoint.url()] {
            assert!(!text.contains(secret), "the store has {secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn store_is_reached_by_tls_with_user_and_password() {
    let pki = Pki::new();
    let (provider, redis) = (Provider::new(Duration::from_secs(3600)), Redis::start_tls(&pki).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let rule = super::documented::user_rule("pa55")
        .replace("{sidekey}", "{fleet-a}")
        .replace("&sidekey:", "&fleet-a:");
    let rule: Vec<_> = ["ACL", "SETUSER"].into_iter().chain(rule.split(' ').skip(1)).collect();
    assert_eq!(redis.cli(&rule).await.trim(), "OK");
    assert_eq!(redis.cli(&["ACL", "SETUSER", "default", "off"]).await.trim(), "OK");
    let shared = |password: &str| {
        format!(
            "shared: {{ url: '{}', username: sidekey, password: {password}, key: {}, prefix: fleet-a, tls: {{ ca_file: {} }} }}",
            redis.url(),
            super::setup::KEY,
            pki.ca_file()
        )
    };
    let auth = client_credentials(&endpoint);
    let processes = start(&config(&shared("pa55"), &upstream, &auth), 2).await;
    for process in &processes {
        assert_eq!(process.get("/api/x").await.status, 200);
        process.logged("shared store connected").await;
    }
    assert_eq!(provider.requests(), 1);
    // A wrong password is no busy store: the process goes on alone.
    let other = Sidekey::configured(&config(&shared("wrong-CANARY"), &upstream, &auth)).start_ready().await;
    let logged = other.logged_like("shared store not available").await;
    assert!(logged["message"].as_str().unwrap().contains("WRONGPASS"), "{logged}");
    assert!(!other.log().contains("CANARY"), "{}", other.log());
    assert_eq!(other.get("/api/x").await.status, 200);
    assert_eq!(provider.requests(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_processes_need_the_memory_that_the_page_says() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/FLEET.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, limit) = page.split_once("Each process has 2 connections, which need up to ").unwrap();
    let limit: usize = limit.split(' ').next().unwrap().parse().unwrap();
    for software in [StoreServer::Redis, StoreServer::Valkey] {
        let (provider, redis) =
            (Provider::new(Duration::from_secs(3600)), Redis::start_as(software, &[], None).await);
        let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
        let processes = start(&config(&shared(&redis), &upstream, &client_credentials(&endpoint)), 4).await;
        for process in &processes {
            process.logged("shared store connected").await;
        }
        // The store takes back buffers that were used a moment ago.
        let mut last = String::new();
        assert_eventually(Duration::from_secs(60), "the connections need little", async || {
            last = redis.cli(&["CLIENT", "LIST"]).await;
            let of_fleet: Vec<_> = last.lines().filter(|line| !line.contains(" cmd=client")).collect();
            let memory = of_fleet
                .iter()
                .flat_map(|line| line.split(' '))
                .filter_map(|field| field.strip_prefix("tot-mem=")?.parse::<usize>().ok());
            let memory = memory.sum::<usize>() / processes.len();
            of_fleet.len() == processes.len() * 2 && (1024..=limit * 1024).contains(&memory)
        })
        .await;
    }
}
