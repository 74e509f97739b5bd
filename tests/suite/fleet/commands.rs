//! Commands that use the store of a fleet.

use std::time::Duration;

use super::setup::{KEY, Provider, REFRESH, client_credentials, config, shared, start};
use crate::harness::{Login, MockUpstream, Redis, Request, Sidekey, assert_eventually};

#[tokio::test(flavor = "multi_thread")]
async fn check_online_reports_the_store() {
    let (provider, redis) = (
        Provider::new(Duration::from_secs(3600)),
        Redis::start(&["--maxmemory-policy", "allkeys-lru"]).await,
    );
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("services.yaml");
    let check = async |shared: &str| {
        std::fs::write(&file, config(shared, &upstream, &client_credentials(&endpoint))).unwrap();
        let output = Sidekey::command(&["check", "--online", "--config", file.to_str().unwrap()], &[]).await;
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (ok, text) = check(&shared(&redis)).await;
    assert!(
        ok && text.contains("shared store")
            && text.contains("OK, but: its `maxmemory-policy` is allkeys-lru"),
        "{text}"
    );
    assert_eq!(redis.cli(&["CONFIG", "SET", "requirepass", "pa55"]).await.trim(), "OK");
    let (ok, text) = check(&shared(&redis)).await;
    assert!(!ok && text.contains("FAILED: it requires a password (NOAUTH)"), "{text}");
    let (ok, text) = check(&format!("shared: {{ url: 'redis://127.0.0.1:1', key: {KEY} }}")).await;
    assert!(!ok && text.contains("FAILED: cannot connect"), "{text}");
    assert_eq!(provider.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_of_a_service_uses_the_token_of_the_fleet() {
    let (provider, redis) = (Provider::new(Duration::from_secs(3600)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let config = config(&shared(&redis), &upstream, &client_credentials(&endpoint));
    let process = start(&config, 1).await.remove(0);
    process.ready().await;
    let file = process.dir().join("sidekey.yaml");
    let output = Sidekey::command(&["test", "api", "--config", file.to_str().unwrap()], &[]).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(provider.requests(), 1);
    let page = Request::get(process.admin_url("/api/v1/services/api")).send().await.json();
    assert_eq!(page["token"]["sharing"]["refreshed_by"], "self", "{page}");
    let other = start(&config, 1).await.remove(0);
    other.ready().await;
    let sharing = async || {
        Request::get(other.admin_url("/api/v1/services/api")).send().await.json()["token"]["sharing"].clone()
    };
    assert_eventually(Duration::from_secs(20), "two processes share", async || {
        sharing().await["processes"] == 2
    })
    .await;
    let sharing = sharing().await;
    assert_eq!(
        (&sharing["refreshed_by"], &sharing["store_down_since"]),
        (&"peer".into(), &serde_json::Value::Null)
    );
}

/// The credential of a person who logs in.
fn person(endpoint: &MockUpstream) -> String {
    format!(
        "type: oauth2, grant_type: authorization_code, authorization_url: 'https://login.example.com/authorize', token_url: '{}', \
         client_id: me, client_secret: s3cret-CANARY",
        endpoint.url()
    )
}

/// The person logs in, with the configuration of a process.
async fn log_in(process: &Sidekey) {
    let mut login = Login::start(process, &["api"]);
    login.call_back(&[("code", "the-code-CANARY")]).await;
    assert_eq!(login.ended().await, 0, "{}", login.output());
    assert!(!login.output().contains("CANARY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn login_during_a_token_request_is_not_overwritten() {
    let (provider, redis) = (Provider::new(Duration::from_secs(3600)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let process = start(&config(&shared(&redis), &upstream, &person(&endpoint)), 1).await.remove(0);
    log_in(&process).await;
    process.ready().await;
    // A token request is on its way, and its answer comes after a new login.
    provider.state.lock().delay = Duration::from_secs(5);
    let requests = provider.requests();
    provider.revoke_all();
    let url = process.url("/api/x");
    let rejected = tokio::spawn(async move { Request::get(url).send().await });
    assert_eventually(Duration::from_secs(20), "a token is requested", async || {
        provider.requests() > requests
    })
    .await;
    provider.state.lock().delay = Duration::ZERO;
    log_in(&process).await;
    let of_login = format!("refresh_token={REFRESH}-{}", provider.issued());
    rejected.await.unwrap();
    let is_used = async || {
        endpoint.requests().iter().any(|request| String::from_utf8_lossy(&request.body).contains(&of_login))
    };
    assert_eventually(Duration::from_secs(20), "the refresh token of the login is used", is_used).await;
    assert_eventually(Duration::from_secs(20), "there is a token", async || {
        process.get("/api/x").await.status == 200
    })
    .await;
    assert_eq!(process.metric("sidekey_shared_writes_lost_total", &[]).await, Some(1.0));
    assert_eq!(provider.state.lock().reused, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn login_is_that_of_the_whole_fleet() {
    let (provider, redis) = (Provider::new(Duration::from_secs(3600)), Redis::start(&[]).await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let processes = start(&config(&shared(&redis), &upstream, &person(&endpoint)), 3).await;
    for process in &processes {
        process.logged_like("token not obtained: no login yet").await;
    }
    for round in 1..=2 {
        log_in(&processes[0]).await;
        let requests = round * 2;
        for process in &processes {
            let has_it =
                async || process.get("/api/x").await.status == 200 && provider.requests() == requests;
            assert_eventually(Duration::from_secs(20), "each process uses the login", has_it).await;
        }
    }
    let state = provider.state.lock();
    assert_eq!(
        (&state.reused, state.requests),
        (&Vec::new(), 4),
        "a code and a refresh token for each login"
    );
}
