//! Secrets from a command (`exec`): run again at the interval, and kept if it fails.

use super::setup::{bearer, config};
use crate::harness::{MockUpstream, Sidekey, TIMEOUT, assert_eventually};

async fn assert_sends(sidekey: &Sidekey, upstream: &MockUpstream, token: &str) {
    assert_eventually(TIMEOUT, &format!("{token} is sent"), async || {
        assert_eq!(sidekey.get("/api/x").await.status, 200);
        upstream.last_request().header("authorization") == Some(&format!("Bearer {token}"))
    })
    .await;
}

#[tokio::test]
async fn exec_secret_is_refreshed_and_kept_on_failure() {
    let upstream = MockUpstream::plain().await;
    // Files are not watched: the command's own interval counts.
    let command = "{ exec: [sh, -c, 'echo CANARY-on-stderr >&2; cat $DIR/secret'], refresh_interval: 1s }";
    let sidekey =
        Sidekey::configured(&config(&bearer("api", &upstream, command))).file("secret", "one").start().await;
    assert_sends(&sidekey, &upstream, "one").await;
    sidekey.write("secret", "two");
    assert_sends(&sidekey, &upstream, "two").await;
    std::fs::remove_file(sidekey.dir().join("secret")).unwrap();
    let failures = async || sidekey.metric("sidekey_secret_reload_total", &[("result", "failure")]).await;
    assert_eventually(TIMEOUT, "it fails repeatedly", async || failures().await > Some(1.0)).await;
    assert_sends(&sidekey, &upstream, "two").await;
    let said = |part: &str| {
        let text = |event: &serde_json::Value| event["message"].as_str().unwrap_or_default().to_owned();
        sidekey.events().iter().filter(|event| text(event).contains(part)).count()
    };
    assert_eq!(
        said("secret source failed, the previous secret stays in use: the command ended with exit code 1"),
        1,
        "{}",
        sidekey.log()
    );
    sidekey.write("secret", "three");
    assert_sends(&sidekey, &upstream, "three").await;
    assert_eq!(said("secret source succeeded again"), 1);
    let failed = sidekey.logged_like("secret source failed").await;
    assert_eq!(failed["secret.source"], "exec sh");
    assert!(!sidekey.log().contains("CANARY"));
}

#[tokio::test]
async fn exec_secret_that_is_unusable_is_not_taken() {
    let upstream = MockUpstream::plain().await;
    let command = "{ exec: [cat, $DIR/secret], refresh_interval: 1s }";
    let text = config(&bearer("api", &upstream, command)).replace("interval: 0s", "interval: 20ms");
    let sidekey = Sidekey::configured(&text).file("secret", "one").start().await;
    assert_sends(&sidekey, &upstream, "one").await;
    sidekey.write("secret", "two\nlines");
    sidekey.logged_like("secret source failed").await;
    // The rest of the configuration can still be changed.
    sidekey.reconfigure(&text.replace("access_log: true", "access_log: false"));
    sidekey.logged("configuration reloaded").await;
    assert_sends(&sidekey, &upstream, "one").await;
    sidekey.write("secret", "three");
    assert_sends(&sidekey, &upstream, "three").await;
}

#[tokio::test]
async fn exec_secret_is_refreshed_before_it_expires() {
    let upstream = MockUpstream::plain().await;
    let command = "{ exec: [$DIR/secret.sh], format: json, refresh_interval: 1h }";
    let script = "#!/bin/sh\necho run >> $(dirname $0)/runs\n\
                  printf '{\"value\": \"secret%s\", \"expires_at\": %s}' $(wc -l < $(dirname $0)/runs) $(($(date +%s) + 3))\n";
    let builder = Sidekey::configured(&config(&bearer("api", &upstream, command)))
        .file("secret.sh", script)
        .executable("secret.sh");
    let sidekey = builder.start().await;
    assert_sends(&sidekey, &upstream, "secret1").await;
    assert_sends(&sidekey, &upstream, "secret2").await;
    assert_sends(&sidekey, &upstream, "secret3").await;
}

#[tokio::test]
async fn exec_command_is_rerun_by_signal_but_not_by_config_change() {
    let upstream = MockUpstream::plain().await;
    let command = "{ exec: [sh, -c, 'echo run >> $DIR/runs; cat $DIR/secret'] }";
    let text = config(&bearer("api", &upstream, command)).replace("interval: 0s", "interval: 20ms");
    let sidekey = Sidekey::configured(&text).file("secret", "one").start().await;
    let runs = || std::fs::read_to_string(sidekey.dir().join("runs")).unwrap().lines().count();
    sidekey.reconfigure(&text.replace("access_log: true", "access_log: false"));
    sidekey.logged("configuration reloaded").await;
    assert_eq!(runs(), 1);
    sidekey.write("secret", "two");
    assert!(sidekey.reload().await);
    assert_eq!(runs(), 2);
    assert_sends(&sidekey, &upstream, "two").await;
}
