//! A reload while one team's file has a mistake, is no YAML, is new, or is gone.

use serde_json::json;

use super::setup::{file, including, with_files};
use crate::harness::{MockUpstream, Request, Sidekey, TIMEOUT, assert_eventually};

/// The credential with which a service is called now.
async fn sent(sidekey: &Sidekey, upstream: &MockUpstream, service: &str) -> String {
    let response = sidekey.get(&format!("/{service}/x")).await;
    assert_eq!(response.status, 200, "{service}: {}", response.text());
    upstream.last_request().header("authorization").unwrap().to_owned()
}

fn write(sidekey: &Sidekey, name: &str, content: &str) {
    let folder = sidekey.dir().join("teams");
    std::fs::write(folder.join(".new"), content).unwrap();
    std::fs::rename(folder.join(".new"), folder.join(name)).unwrap();
}

#[tokio::test]
async fn mistake_of_one_team_leaves_the_changes_of_others() {
    let upstream = MockUpstream::plain().await;
    let (a, b) = (file(&upstream, &["a1", "a2"]), file(&upstream, &["b1"]));
    let files = [("a.yaml", a.clone()), ("b.yaml", b.clone())];
    let sidekey = with_files(&including(""), files).start_ready().await;

    // One service of `a` has a mistake, the other one and `b` change.
    write(
        &sidekey,
        "a.yaml",
        &a.replace("token-of-a1", "{ env: NOT_SET_ANYWHERE }").replace("token-of-a2", "new-a2"),
    );
    write(&sidekey, "b.yaml", &b.replace("token-of-b1", "new-b1"));
    assert!(!sidekey.reload().await, "not all of it is in use");
    assert_eq!(sent(&sidekey, &upstream, "a1").await, "Bearer token-of-a1", "its previous settings");
    assert_eq!(sent(&sidekey, &upstream, "a2").await, "Bearer new-a2");
    assert_eq!(sent(&sidekey, &upstream, "b1").await, "Bearer new-b1");
    let view = Request::get(sidekey.admin_url("/api/v1/services/a1")).send().await.json();
    assert_eq!((&view["state"], &view["severity"]), (&json!("ready"), &json!("warning")), "{view}");
    assert!(
        view["config_error"].as_str().unwrap().contains("teams/a.yaml:2: services.a1.auth.token: "),
        "{view}"
    );
    assert_eq!(sidekey.metric("sidekey_service_misconfigured", &[("service", "a1")]).await, Some(1.0));

    // All of `a` is no YAML.
    write(&sidekey, "a.yaml", "services: [");
    write(&sidekey, "b.yaml", &b);
    assert!(!sidekey.reload().await);
    assert_eq!(sent(&sidekey, &upstream, "a1").await, "Bearer token-of-a1");
    assert_eq!(sent(&sidekey, &upstream, "a2").await, "Bearer new-a2");
    assert_eq!(sent(&sidekey, &upstream, "b1").await, "Bearer token-of-b1");
    sidekey.logged_like("file cannot be read, its services run with their previous settings: ").await;
    let all = Request::get(sidekey.admin_url("/api/v1/services")).send().await.json();
    let problem = &all["config"]["problems"][0];
    assert!(problem["file"].as_str().unwrap().ends_with("teams/a.yaml"), "{problem}");

    // No other team takes what `a` has.
    let theft = file(&upstream, &["b1", "a1"]).replace("token-of-a1", "stolen");
    write(&sidekey, "b.yaml", &theft);
    assert!(!sidekey.reload().await);
    assert_eq!(sent(&sidekey, &upstream, "a1").await, "Bearer token-of-a1");

    write(&sidekey, "a.yaml", &a);
    write(&sidekey, "b.yaml", &b);
    assert!(sidekey.reload().await);
    assert_eq!(sent(&sidekey, &upstream, "a2").await, "Bearer token-of-a2");
    assert_eq!(sidekey.metric("sidekey_service_misconfigured", &[]).await, Some(0.0));
}

#[tokio::test]
async fn file_that_is_added_to_the_folder_or_removed_is_noticed() {
    let upstream = MockUpstream::plain().await;
    let config = including("").replace("interval: 0s", "interval: 20ms");
    let sidekey = with_files(&config, [("a.yaml", file(&upstream, &["a"]))]).start_ready().await;
    let status = async |service: &str| sidekey.get(&format!("/{service}/x")).await.status;
    write(&sidekey, "b.yaml", &file(&upstream, &["b"]));
    assert_eventually(TIMEOUT, "the service of a new file runs", async || status("b").await == 200).await;
    write(&sidekey, "b.yaml", &file(&upstream, &["c"]));
    assert_eventually(TIMEOUT, "an included file is watched", async || status("c").await == 200).await;
    std::fs::remove_file(sidekey.dir().join("teams/b.yaml")).unwrap();
    assert_eventually(TIMEOUT, "the service of a file that is gone ends", async || status("c").await == 404)
        .await;
    assert_eq!(status("a").await, 200);
    assert_eq!(sidekey.metric("sidekey_config_reload_total", &[("result", "failure")]).await, Some(0.0));
}

#[tokio::test]
async fn new_service_with_a_mistake_runs_once_it_is_corrected() {
    let upstream = MockUpstream::plain().await;
    let config = including("").replace("interval: 0s", "interval: 20ms");
    let new = file(&upstream, &["b"]).replace("token-of-b", "{ file: $DIR/secret }");
    let files = [("a.yaml", file(&upstream, &["a"])), ("b.yaml", new)];
    let sidekey = with_files(&config, files).start_ready().await;
    let response = sidekey.get("/b/x").await;
    assert_eq!((response.status, response.header("sidekey-error")), (503, Some("misconfigured")));
    sidekey.write("secret", "the-secret");
    assert_eventually(TIMEOUT, "it runs", async || sidekey.get("/b/x").await.status == 200).await;
    assert_eq!(sent(&sidekey, &upstream, "b").await, "Bearer the-secret");
    sidekey.logged("service has no mistake any more").await;
    // A secret that is gone is a mistake again; the service keeps what it has.
    std::fs::remove_file(sidekey.dir().join("secret")).unwrap();
    sidekey.logged_like("service is misconfigured and runs with its previous settings: ").await;
    assert_eq!(sent(&sidekey, &upstream, "b").await, "Bearer the-secret");
}
