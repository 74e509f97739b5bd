//! Secrets that a command prints: run again when it is time, and kept through its failures.

use super::configuration::{bearer, config};
use crate::harness::{Sidekey, Upstream, assert_eventually};
use crate::suite::oauth2::setup::PATIENCE;

async fn sends(sidekey: &Sidekey, upstream: &Upstream, token: &str) {
    assert_eventually(PATIENCE, &format!("{token} is sent"), async || {
        assert_eq!(sidekey.get("/api/x").await.status, 200);
        upstream.last_request().header("authorization") == Some(&format!("Bearer {token}"))
    })
    .await;
}

#[tokio::test]
async fn a_command_is_run_again_and_its_failure_keeps_what_there_is() {
    let upstream = Upstream::plain().await;
    // Nobody looks at files: it is the command's own time that counts.
    let command = "{ exec: [sh, -c, 'echo CANARY-on-stderr >&2; cat $DIR/secret'], refresh_interval: 1s }";
    let sidekey =
        Sidekey::configured(&config(&bearer("api", &upstream, command))).file("secret", "one").start().await;
    sends(&sidekey, &upstream, "one").await;
    sidekey.write("secret", "two");
    sends(&sidekey, &upstream, "two").await;
    std::fs::remove_file(sidekey.dir().join("secret")).unwrap();
    let failures = async || sidekey.metric("sidekey_secret_reload_total", &[("result", "failure")]).await;
    assert_eventually(PATIENCE, "it fails again and again", async || failures().await > Some(1.0)).await;
    sends(&sidekey, &upstream, "two").await;
    let said = |part: &str| {
        let text = |event: &serde_json::Value| event["message"].as_str().unwrap_or_default().to_owned();
        sidekey.events().iter().filter(|event| text(event).contains(part)).count()
    };
    assert_eq!(
        said("secret command failed, the previous secret stays in use: the command ended with exit code 1"),
        1,
        "{}",
        sidekey.log()
    );
    sidekey.write("secret", "three");
    sends(&sidekey, &upstream, "three").await;
    assert_eq!(said("secret command succeeded again"), 1);
    assert!(!sidekey.log().contains("CANARY"));
}

#[tokio::test]
async fn a_command_is_run_before_what_it_gave_expires() {
    let upstream = Upstream::plain().await;
    let command = "{ exec: [$DIR/secret.sh], format: json, refresh_interval: 1h }";
    let script = "#!/bin/sh\necho run >> $(dirname $0)/runs\n\
                  printf '{\"value\": \"secret%s\", \"expires_at\": %s}' $(wc -l < $(dirname $0)/runs) $(($(date +%s) + 3))\n";
    let builder = Sidekey::configured(&config(&bearer("api", &upstream, command)))
        .file("secret.sh", script)
        .executable("secret.sh");
    let sidekey = builder.start().await;
    sends(&sidekey, &upstream, "secret1").await;
    sends(&sidekey, &upstream, "secret2").await;
    sends(&sidekey, &upstream, "secret3").await;
}

#[tokio::test]
async fn reading_the_configuration_again_runs_no_command_that_is_known_but_a_signal_does() {
    let upstream = Upstream::plain().await;
    let command = "{ exec: [sh, -c, 'echo run >> $DIR/runs; cat $DIR/secret'] }";
    let text = config(&bearer("api", &upstream, command)).replace("interval: 0s", "interval: 20ms");
    let sidekey = Sidekey::configured(&text).file("secret", "one").start().await;
    let runs = || std::fs::read_to_string(sidekey.dir().join("runs")).unwrap().lines().count();
    sidekey.reconfigure(&text.replace("access: true", "access: false"));
    sidekey.logged("configuration reloaded").await;
    assert_eq!(runs(), 1);
    sidekey.write("secret", "two");
    assert!(sidekey.reload().await);
    assert_eq!(runs(), 2);
    sends(&sidekey, &upstream, "two").await;
}
