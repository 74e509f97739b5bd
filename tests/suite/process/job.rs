//! A sidecar that its app ends, by `POST /quit`; and one that continues to serve while its app ends.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{
    Connection, Gate, MockResponse, MockUpstream, Request, Sidekey, SidekeyBuilder, TIMEOUT,
    assert_eventually,
};

fn serving(upstream: &MockUpstream) -> SidekeyBuilder {
    Sidekey::serving(&format!(
        "api: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}",
        upstream.url()
    ))
}

async fn quit(sidekey: &Sidekey) -> u16 {
    Request::post(sidekey.admin_url("/quit"), "").send().await.status
}

#[tokio::test]
async fn quit_drains_requests_and_exits_0() {
    let upstream = MockUpstream::plain().await;
    let gate = Gate::closed();
    upstream.next(MockResponse::ok("the whole answer").body_held_at(4, &gate));
    let mut sidekey = serving(&upstream).env("SIDEKEY_ALLOW_QUIT", "true").start().await;
    let mut last = sidekey.connect().await;
    last.send("GET /api/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    upstream.received(1).await;

    assert_eq!(Request::get(sidekey.admin_url("/quit")).send().await.status, 405);
    let foreign = Request::post(sidekey.admin_url("/quit"), "").header("Origin", "http://evil.example");
    assert_eq!(foreign.send().await.status, 403);
    assert_eq!(quit(&sidekey).await, 202);
    let refused = async || Connection::try_open(sidekey.address()).await.is_err();
    assert_eventually(TIMEOUT, "no new connection is accepted", refused).await;
    gate.open();
    assert_eq!(last.response().await.text(), "the whole answer");
    assert!(sidekey.ended().await.success());
    assert!(sidekey.log().contains("asked by POST /quit"));
}

#[tokio::test]
async fn quit_is_not_found_unless_it_is_allowed() {
    let upstream = MockUpstream::plain().await;
    let sidekey = serving(&upstream).start().await;
    assert_eq!(quit(&sidekey).await, 404);
    assert_eq!(sidekey.get("/api/").await.status, 200);
}

#[tokio::test]
async fn sidecar_serves_until_its_wait_is_over() {
    let upstream = MockUpstream::plain().await;
    let mut sidekey = serving(&upstream).argument("--wait-before-exit").argument("2s").start().await;
    let start = Instant::now();
    sidekey.signal(Signal::SIGTERM);
    sidekey.logged("serving until the app has ended").await;
    assert_eq!(sidekey.get("/api/").await.status, 200);
    assert!(sidekey.ended().await.success());
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn second_signal_ends_the_wait() {
    let upstream = MockUpstream::plain().await;
    let mut sidekey = serving(&upstream).env("SIDEKEY_WAIT_BEFORE_EXIT", "1h").start().await;
    sidekey.signal(Signal::SIGTERM);
    sidekey.logged("serving until the app has ended").await;
    sidekey.signal(Signal::SIGTERM);
    assert!(sidekey.ended().await.success());
}

#[tokio::test]
async fn probe_waits_until_sidekey_serves() {
    let upstream = MockUpstream::plain().await;
    let sidekey = serving(&upstream).start().await;
    let address = sidekey.admin_url("").replace("http://", "");
    let output = Sidekey::command(&["probe", "--admin", &address, "--wait", "30s", "/livez"], &[]).await;
    assert!(output.status.success());

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nothing = free.local_addr().unwrap().to_string();
    drop(free);
    let start = Instant::now();
    let output = Sidekey::command(&["probe", "--admin", &nothing, "--wait", "300ms", "/livez"], &[]).await;
    assert!(!output.status.success() && start.elapsed() >= Duration::from_millis(200));
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1, "said at the end only");
}
