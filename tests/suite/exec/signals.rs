//! Signals reach the command, it ends with Sidekey, and a shell can stop both.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::setup::Stage;
use crate::harness::{Process, TIMEOUT, assert_eventually};

async fn said(process: &Process, what: &str) {
    assert_eventually(TIMEOUT, &format!("it says {what}"), async || process.output().contains(what)).await;
}

fn pid_of(process: &Process) -> Pid {
    let output = process.output();
    let number = output.lines().find_map(|line| line.strip_prefix("pid ")).unwrap();
    Pid::from_raw(number.parse().unwrap())
}

/// The state of a process, as in /proc: `S`, `T`, `Z`; `None` if it is gone.
fn state(pid: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[tokio::test]
async fn signals_are_passed_to_the_command() {
    let stage = Stage::new().await;
    for (signal, name) in [
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGINT, "INT"),
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGQUIT, "QUIT"),
        (Signal::SIGUSR1, "USR1"),
        (Signal::SIGUSR2, "USR2"),
        (Signal::SIGWINCH, "WINCH"),
    ] {
        let shell =
            format!("trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.01; done");
        let mut process = stage.spawn(&[], &["bash", "-c", &shell]);
        said(&process, "ready").await;
        process.signal(signal);
        assert_eq!(process.ended(TIMEOUT).await.code(), Some(7), "{name}");
        assert!(process.output().contains(&format!("got {name}")), "{}", process.output());
    }
}

#[tokio::test]
async fn command_that_ends_by_a_signal_is_128_and_its_number() {
    let stage = Stage::new().await;
    let mut process = stage.spawn(&[], &["sh", "-c", "echo ready; exec sleep 600"]);
    said(&process, "ready").await;
    process.signal(Signal::SIGTERM);
    assert_eq!(process.ended(TIMEOUT).await.code(), Some(128 + 15));
}

#[tokio::test]
async fn signal_before_the_command_starts_ends_everything() {
    let stage = Stage::new().await;
    let tokens = crate::harness::MockTokenEndpoint::plain().await;
    tokens.stall();
    let auth = format!(
        "{{ type: oauth2, grant_type: client_credentials, token_url: '{}', client_id: me, client_secret: {{ env: API_TOKEN }} }}",
        tokens.url()
    );
    let service = stage.service("x").replace("{ type: bearer, token: x }", &auth);
    stage.configure(&format!("services:\n  api: {service}\n"));
    let mut process = stage.spawn(&["--ready-timeout", "1h"], &["echo", "started"]);
    tokens.received(1).await;
    process.signal(Signal::SIGTERM);
    assert_eq!(process.ended(TIMEOUT).await.code(), Some(128 + 15));
    assert!(!process.output().contains("started"), "{}", process.output());
}

#[tokio::test]
async fn command_ends_if_sidekey_is_killed() {
    let stage = Stage::new().await;
    let mut process =
        stage.spawn(&[], &["sh", "-c", "echo pid $$; trap '' TERM; while :; do sleep 0.01; done"]);
    said(&process, "pid ").await;
    let command = pid_of(&process);
    process.signal(Signal::SIGKILL);
    process.ended(TIMEOUT).await;
    let is_gone = async || matches!(state(command), None | Some('Z'));
    assert_eventually(TIMEOUT, "the command ends", is_gone).await;
}

#[tokio::test]
async fn sidekey_stops_and_continues_with_the_command() {
    let stage = Stage::new().await;
    let mut process = stage.spawn(&[], &["sh", "-c", "echo pid $$; kill -STOP $$; echo continued"]);
    said(&process, "pid ").await;
    let (command, sidekey) = (pid_of(&process), Pid::from_raw(process.id().cast_signed()));
    let are_stopped = async || [command, sidekey].into_iter().all(|pid| state(pid) == Some('T'));
    assert_eventually(TIMEOUT, "both are stopped", are_stopped).await;
    kill(sidekey, Signal::SIGCONT).unwrap();
    assert!(process.ended(TIMEOUT).await.success());
    assert!(process.output().contains("continued"), "{}", process.output());
}

#[tokio::test]
async fn command_is_in_the_process_group_of_sidekey() {
    let stage = Stage::new().await;
    let output = stage.run(&[], &["sh", "-c", "ps -o pgid= -p $$,$PPID | sort -u | wc -l"]).await;
    assert_eq!(super::setup::printed(&output).trim(), "1");
}
