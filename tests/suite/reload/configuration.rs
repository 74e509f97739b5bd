//! Configuration reload: a change is applied as a whole, however the file is written; an invalid file changes
//! nothing.

use std::os::unix::fs::symlink;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::setup::{bearer, config, watched};
use crate::harness::{Gate, MockResponse, MockUpstream, Sidekey, TIMEOUT, assert_eventually};

/// The credential that the upstream is sent now.
async fn sent(sidekey: &Sidekey, upstream: &MockUpstream) -> String {
    let response = sidekey.get("/api/x").await;
    assert_eq!(response.status, 200, "{}", response.text());
    upstream.last_request().header("authorization").unwrap().to_owned()
}

async fn sends(sidekey: &Sidekey, upstream: &MockUpstream, credential: &str) {
    assert_eventually(TIMEOUT, &format!("{credential} is sent"), async || {
        sent(sidekey, upstream).await == credential
    })
    .await;
}

#[tokio::test]
async fn reload_adds_changes_and_removes_services() {
    let (upstream, other) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let sidekey = Sidekey::configured(&config(&bearer("api", &upstream, "one"))).start().await;
    assert_eq!(sent(&sidekey, &upstream).await, "Bearer one");
    assert_eq!(sidekey.get("/new/x").await.status, 404);
    let kept = upstream.connections();

    sidekey.reconfigure(&config(&(bearer("new", &other, "n") + &bearer("api", &upstream, "two"))));
    assert!(sidekey.reload().await);
    assert_eq!(sent(&sidekey, &upstream).await, "Bearer two");
    assert_eq!(upstream.connections(), kept, "the credential changed, the connections are reused");
    assert_eq!(sidekey.get("/new/x").await.status, 200);
    let event = sidekey.logged("configuration reloaded").await;
    assert_eq!((&event["services.added"], &event["services.changed"]), (&"new".into(), &"api".into()));

    sidekey.reconfigure(&config(&bearer("new", &other, "n")));
    assert!(sidekey.reload().await);
    assert_eq!(sidekey.get("/api/x").await.status, 404);
    assert_eq!(sidekey.get("/new/x").await.status, 200);
    let metrics = sidekey.metrics().await;
    assert!(!metrics.contains("service=\"api\"") && metrics.contains("service=\"new\""), "{metrics}");
    assert_eventually(TIMEOUT, "its idle connections are closed", async || upstream.open_connections() == 0)
        .await;
}

#[tokio::test]
async fn reload_does_not_affect_requests_in_flight() {
    let (upstream, other) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let gate = Gate::closed();
    let sidekey = Sidekey::configured(&config(&bearer("api", &upstream, "one"))).start().await;
    upstream.next(MockResponse::ok("the whole answer").body_held_at(4, &gate));
    let mut caller = sidekey.connect().await;
    caller.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    upstream.received(1).await;
    sidekey.reconfigure(&config(&bearer("new", &other, "n")));
    assert!(sidekey.reload().await);
    gate.open();
    let response = caller.response().await;
    assert_eq!((response.status, response.text().as_str()), (200, "the whole answer"));
    caller.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(caller.response().await.status, 404, "the next request uses the new configuration");
    assert!(!sidekey.metrics().await.contains("service=\"api\""), "and no series reappears");
    assert_eventually(TIMEOUT, "its connection is not kept", async || upstream.open_connections() == 0).await;
}

#[tokio::test]
async fn service_with_a_mistake_runs_with_its_previous_settings_and_logs_once() {
    let upstream = MockUpstream::plain().await;
    let good = watched(&bearer("api", &upstream, "one"));
    let sidekey = Sidekey::configured(&good).start().await;
    sidekey.reconfigure(&good.replace("upstream", "upstrem"));
    let failures = [("result", "failure")];
    assert_eventually(TIMEOUT, "it is retried", async || {
        sidekey.metric("sidekey_config_reload_total", &failures).await > Some(3.0)
    })
    .await;
    assert_eq!(sent(&sidekey, &upstream).await, "Bearer one");
    assert_eq!(sidekey.metric("sidekey_config_last_reload_successful", &[]).await, Some(0.0));
    let errors =
        || sidekey.events().into_iter().filter(|event| event["level"] == "ERROR").collect::<Vec<_>>();
    assert_eq!(errors().len(), 1, "{:?}", errors());
    let message = errors()[0]["message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with("service is misconfigured and runs with its previous settings: ")
            && message.contains("did you mean `upstream`?"),
        "{message}"
    );

    // A mistake outside of services is one of the whole.
    sidekey.reconfigure(&good.replace("access_log", "acces_log").replace("token: one", "token: two"));
    let rejected = sidekey.logged_like("configuration reload rejected").await;
    assert!(rejected["message"].as_str().unwrap().contains("did you mean `access_log`?"), "{rejected}");
    assert_eq!(sent(&sidekey, &upstream).await, "Bearer one");

    let before = sidekey.metric("sidekey_config_last_reload_success_timestamp_seconds", &[]).await;
    sidekey.reconfigure(&good);
    sidekey.logged("configuration is valid again").await;
    assert_eq!(sidekey.metric("sidekey_config_last_reload_successful", &[]).await, Some(1.0));
    assert!(sidekey.metric("sidekey_config_last_reload_success_timestamp_seconds", &[]).await > before);
}

#[tokio::test]
async fn secret_file_change_is_detected_however_it_is_written() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::configured(&watched(&bearer("api", &upstream, "{ file: $DIR/secret }")))
        .file("secret", "one\n")
        .start()
        .await;
    assert_eq!(sent(&sidekey, &upstream).await, "Bearer one");
    // As an editor writes: another file renamed to the same name.
    sidekey.write("secret", "two\n");
    sends(&sidekey, &upstream, "Bearer two").await;
    // Truncated, and written a while later.
    let file = sidekey.dir().join("secret");
    std::fs::write(&file, "").unwrap();
    let failures = [("result", "failure")];
    assert_eventually(TIMEOUT, "the empty file is rejected", async || {
        sidekey.metric("sidekey_secret_reload_total", &failures).await == Some(1.0)
    })
    .await;
    assert_eq!(sent(&sidekey, &upstream).await, "Bearer two", "the old value stays");
    std::fs::write(&file, "three").unwrap();
    sends(&sidekey, &upstream, "Bearer three").await;
    // Removed, and created again.
    std::fs::remove_file(&file).unwrap();
    assert_eventually(TIMEOUT, "the missing file is reported", async || {
        sidekey.metric("sidekey_secret_reload_total", &failures).await == Some(2.0)
    })
    .await;
    assert_eq!(sent(&sidekey, &upstream).await, "Bearer three");
    sidekey.write("secret", "four");
    sends(&sidekey, &upstream, "Bearer four").await;
}

#[tokio::test]
async fn secret_file_change_by_kubernetes_symlink_is_detected() {
    let upstream = MockUpstream::plain().await;
    let mount = tempfile::tempdir().unwrap();
    let at = |name: &str| mount.path().join(name);
    let version = |name: &str, secret: &str| {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("key"), secret).unwrap();
        symlink(name, at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    version("..2026_1", "one");
    symlink("..data/key", at("key")).unwrap();
    let token = format!("{{ file: '{}' }}", at("key").display());
    let sidekey = Sidekey::configured(&watched(&bearer("api", &upstream, &token))).start().await;
    assert_eq!(sent(&sidekey, &upstream).await, "Bearer one");
    version("..2026_2", "two");
    std::fs::remove_dir_all(at("..2026_1")).unwrap();
    sends(&sidekey, &upstream, "Bearer two").await;
}

#[tokio::test]
async fn reload_changes_logging_and_reports_restart_only_keys() {
    let upstream = MockUpstream::plain().await;
    let services = bearer("api", &upstream, "one");
    let sidekey = Sidekey::configured(&config(&services)).start().await;
    let lines = || sidekey.events().into_iter().filter(|event| event["message"] == "request").count();
    sidekey.get("/api/x").await;
    assert_eventually(TIMEOUT, "one access log line", async || lines() == 1).await;
    let threads = "threads: 7\nadmin: 127.0.0.1:9\n";
    let other = config(&services)
        .replace("access_log: true", "access_log: false")
        .replace("admin: 127.0.0.1:0\n", threads);
    sidekey.reconfigure(&other);
    assert!(sidekey.reload().await);
    let keys: Vec<_> = sidekey
        .events()
        .into_iter()
        .filter(|event| event["message"] == "changed; takes effect after a restart")
        .map(|event| event["config.path"].clone())
        .collect();
    assert_eq!(keys, ["admin.listen", "threads"]);
    sidekey.get("/api/x").await;
    sidekey.reconfigure(&other.replace("level: debug", "level: error"));
    assert!(sidekey.reload().await);
    let before = sidekey.log();
    sidekey.signal(Signal::SIGHUP);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((lines(), sidekey.log()), (1, before), "nothing is logged at this level");
}

#[tokio::test]
async fn ca_file_change_applies_to_the_next_connection() {
    use crate::harness::Pki;
    let (old, new) = (Pki::new(), Pki::new());
    let upstream = MockUpstream::tls(&old).await;
    let service = format!(
        "api: {{ upstream: '{}', tls: {{ ca_file: $DIR/ca.pem }}, auth: {{ type: bearer, token: t }} }}\n",
        upstream.url()
    );
    let sidekey = Sidekey::configured(&watched(&service)).file("ca.pem", &old.ca_pem()).start().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    upstream.change_certificate(new.server(&["localhost"]));
    upstream.cut_connections();
    assert_eventually(TIMEOUT, "it is not trusted", async || sidekey.get("/api/x").await.status == 502).await;
    sidekey.write("ca.pem", &new.ca_pem());
    assert_eventually(TIMEOUT, "it is trusted", async || sidekey.get("/api/x").await.status == 200).await;
}
