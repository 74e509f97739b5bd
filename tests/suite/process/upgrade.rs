//! Upgrade: a new process takes over the sockets of a running one, and no connection is refused.

use std::os::unix::net::UnixDatagram;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{
    Load, MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey, SidekeyBuilder, TIMEOUT,
    assert_eventually,
};
use crate::suite::oauth2::setup::service;
use crate::suite::reload::setup::bearer;

/// A configuration with these addresses.
fn config(listen: &str, admin: &str, services: &str) -> String {
    Sidekey::configuration_serving(services)
        .replace("listen: 127.0.0.1:0", &format!("upgrade_sock: $DIR/upgrade.sock\nlisten: {listen}"))
        .replace("admin: 127.0.0.1:0", &format!("admin: {admin}"))
        .replace("level: debug", "level: info")
        .replace("access_log: true", "access_log: false")
}

fn first(services: &str) -> SidekeyBuilder {
    Sidekey::configured(&config("127.0.0.1:0", "127.0.0.1:0", services))
}

/// Writes the actual addresses into the file, so that a new process binds the same ones.
fn fix_addresses(sidekey: &Sidekey, services: &str) {
    let admin = sidekey.admin_url("").replace("http://", "");
    let text = config(&sidekey.address().to_string(), &admin, services);
    sidekey.reconfigure(&format!("reload: {{ interval: 0s }}\n{text}"));
}

#[tokio::test]
async fn upgrade_under_load_fails_no_request() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let services = bearer("api", &upstream, "t") + &service("crm", &upstream, &tokens, "", "");
    let dir = tempfile::tempdir().unwrap();
    let told = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    told.set_nonblocking(true).unwrap();
    let notify = dir.path().join("notify");
    let mut sidekey = first(&services).env("NOTIFY_SOCKET", notify.to_str().unwrap()).start_ready().await;
    fix_addresses(&sidekey, &services);
    let load = Load::start(sidekey.address(), &["/api/x", "/crm/x", "/api/y", "/crm/y"]);
    load.answers(50).await;
    // SIGUSR2, as an operator sends it: the old process starts the new one.
    sidekey.signal(Signal::SIGUSR2);
    sidekey.logged("took over from the old process").await;
    assert!(sidekey.ended().await.success(), "the old process exits with 0");
    load.answers(200).await;
    assert!(sidekey.is_ready().await, "the admin listener is taken over too");
    let outcome = load.stop().await;
    assert_eq!(outcome.failures, Vec::<String>::new(), "of {}", outcome.answered);
    let mut mains = Vec::new();
    let mut buffer = [0; 256];
    while let Ok(length) = told.recv(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let main = text.strip_prefix("MAINPID=").and_then(|rest| rest.strip_suffix("\nREADY=1"));
        mains.push(main.expect("two lines").parse::<u32>().unwrap());
    }
    assert_eq!(mains.len(), 2, "{mains:?}");
    assert_eq!(mains[0], sidekey.process_id());
    let new = i32::try_from(mains[1]).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(new), Signal::SIGTERM).unwrap();
    let gone = async || nix::sys::signal::kill(nix::unistd::Pid::from_raw(new), None).is_err();
    assert_eventually(TIMEOUT, "the new one ends", gone).await;
}

#[tokio::test]
async fn upgrade_failure_keeps_the_old_process() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let services = bearer("api", &upstream, "t");
    let sidekey = first(&services).start_ready().await;
    fix_addresses(&sidekey, &services.replace("upstream", "upstrem"));
    sidekey.signal(Signal::SIGUSR2);
    let said = async |part: &str| {
        assert_eventually(TIMEOUT, part, async || sidekey.log().contains(part)).await;
    };
    said("did you mean `upstream`?").await;
    said("the new process has ended (exit status: 78); this process continues").await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);

    // A new process that is killed while it waits for its first token has the sockets already.
    tokens.always(MockTokenResponse::error(503, "temporarily_unavailable"));
    fix_addresses(&sidekey, &(services.clone() + &service("crm", &upstream, &tokens, "", "")));
    sidekey.signal(Signal::SIGUSR2);
    said("sockets sent to a new process").await;
    tokens.received(1).await;
    let started =
        sidekey.events().into_iter().rfind(|event| event["message"] == "started a new process to take over");
    let new = started.unwrap()["process.id"].as_i64().unwrap();
    let new = nix::unistd::Pid::from_raw(i32::try_from(new).unwrap());
    nix::sys::signal::kill(new, Signal::SIGKILL).unwrap();
    said("no new process took over, this process continues").await;
    for _ in 0..20 {
        assert_eq!(sidekey.get("/api/x").await.status, 200);
    }
}

#[tokio::test]
async fn upgrade_without_predecessor_is_an_ordinary_start() {
    let upstream = MockUpstream::plain().await;
    let sidekey = first(&bearer("api", &upstream, "t")).argument("--upgrade").start_ready().await;
    assert!(sidekey.log().contains("starting without an upgrade"));
    let none = Sidekey::serving(&bearer("api", &upstream, "t")).argument("--upgrade");
    let (code, output) = none.expect_start_failure().await;
    assert_eq!(code, 1);
    assert!(output.contains("`--upgrade` needs `upgrade_sock` in the configuration"), "{output}");
}

#[tokio::test]
async fn upgrade_in_progress_is_the_only_one() {
    let (upstream, tokens) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let services = bearer("api", &upstream, "t");
    let sidekey = first(&services).start_ready().await;
    // A new process that waits for its first token has the sockets already.
    tokens.always(MockTokenResponse::error(503, "temporarily_unavailable"));
    fix_addresses(&sidekey, &(services.clone() + &service("crm", &upstream, &tokens, "", "")));
    sidekey.signal(Signal::SIGUSR2);
    sidekey.logged("sockets sent to a new process; this process serves until it is ready").await;
    sidekey.signal(Signal::SIGUSR2);
    sidekey.logged_like("an upgrade is in progress").await;
    let started = |event: &Value| event["message"] == "started a new process to take over";
    let started: Vec<_> = sidekey.events().into_iter().filter(started).collect();
    assert_eq!(started.len(), 1, "{started:?}");

    let path = sidekey.dir().join("sidekey.yaml");
    let by_hand = Sidekey::command(&["run", "--upgrade", "--config", path.to_str().unwrap()], &[]).await;
    let said = String::from_utf8([by_hand.stdout, by_hand.stderr].concat()).unwrap();
    assert_eq!(by_hand.status.code(), Some(1), "{said}");
    assert!(said.contains("the running process does not answer; is another upgrade in progress?"), "{said}");
    let new = nix::unistd::Pid::from_raw(i32::try_from(started[0]["process.id"].as_i64().unwrap()).unwrap());
    nix::sys::signal::kill(new, Signal::SIGKILL).unwrap();
}
