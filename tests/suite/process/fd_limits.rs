//! The limit on open files: raised to the hard limit, and errors when descriptors run out.

use std::time::Duration;

use crate::harness::{Gate, MockResponse, MockUpstream, Request, Sidekey, TIMEOUT, assert_eventually};

fn serving(upstream: &MockUpstream, more: &str) -> String {
    let services = format!("api: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}", upstream.url());
    format!("{more}{}", Sidekey::configuration_serving(&services))
}

#[tokio::test]
async fn fd_limit_is_raised_to_the_hard_limit() {
    let upstream = MockUpstream::plain().await;
    let sidekey =
        Sidekey::configured(&serving(&upstream, "max_connections: 300\n")).open_files(100, 600).start().await;
    let mut callers = Vec::new();
    for _ in 0..300 {
        callers.push(sidekey.connect().await);
    }
    for caller in &mut callers {
        caller.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(caller.response().await.status, 200);
    }
    let address = sidekey.address().to_string();
    let open = async || sidekey.metric("sidekey_connections_open", &[("listener", &address)]).await;
    assert_eq!(open().await, Some(300.0));
    drop(callers);
    assert_eventually(TIMEOUT, "connections are counted until they end", async || open().await == Some(0.0))
        .await;
    assert!(!sidekey.log().contains("the limit on open files"), "300 of 600 are enough");
}

#[tokio::test]
async fn fd_limit_too_low_for_max_connections_is_logged() {
    let upstream = MockUpstream::plain().await;
    let sidekey =
        Sidekey::configured(&serving(&upstream, "max_connections: 300\n")).open_files(100, 120).start().await;
    sidekey
        .logged_like("the limit on open files (ulimit -Hn, LimitNOFILE) is too low for `max_connections`")
        .await;
    let mut callers = Vec::new();
    for _ in 0..150 {
        callers.push(sidekey.connect().await);
    }
    drop(callers);
    assert_eventually(TIMEOUT, "it serves requests again", async || {
        let mut caller = sidekey.connect().await;
        caller.try_send("GET /api/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.is_ok()
            && caller.response_to("GET").await.is_ok_and(|response| response.status == 200)
    })
    .await;
}

/// Processor time of a process so far, in ticks of a hundredth of a second (proc_pid_stat(5): utime and
/// stime).
fn ticks(sidekey: &Sidekey) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", sidekey.process_id())).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test]
async fn fd_limit_reserves_descriptors_for_admin_listener() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::configured(&serving(&upstream, "threads: 1\n")).open_files(100, 120).start().await;
    let mut callers = Vec::new();
    for _ in 0..60 {
        let mut caller = sidekey.connect().await;
        caller.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(caller.response().await.status, 200);
        callers.push(caller);
    }
    let refused = sidekey.connect().await.response().await;
    assert_eq!((refused.status, refused.sidekey_error()), (503, Some("overloaded")));
    assert_eq!(Request::get(sidekey.admin_url("/healthz")).send().await.status, 200);
    assert_eq!(Request::get(sidekey.admin_url("/readyz")).send().await.status, 200);
    assert_eq!(sidekey.metric("sidekey_accept_failures_total", &[]).await, Some(0.0));
}

#[tokio::test]
async fn fd_exhaustion_rejects_or_delays_callers_and_recovers() {
    const WAITS: &str = "cannot accept a connection";
    let upstream = MockUpstream::plain().await;
    let gate = Gate::closed();
    upstream.always(MockResponse::ok("held").delayed_until(&gate));
    let sidekey = Sidekey::configured(&serving(&upstream, "threads: 1\n")).open_files(100, 120).start().await;
    let mut callers = Vec::new();
    for _ in 0..60 {
        callers.push(sidekey.connect().await);
    }
    for caller in &mut callers {
        caller.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    }
    // As many requests as there were descriptors for reach the upstream; the others get an error response at
    // once.
    assert_eventually(TIMEOUT, "all are held or rejected", async || {
        sidekey.log().matches("Too many open files").count() + upstream.request_count() >= 60
    })
    .await;
    let held = upstream.request_count();
    assert!((1..60).contains(&held), "{held}");
    // All descriptors are in use, and this connection waits.
    let mut waiting = sidekey.connect().await;
    waiting.send("GET /api/late HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert_eventually(TIMEOUT, "it is logged", async || sidekey.log().contains(WAITS)).await;
    let before = ticks(&sidekey);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let used = ticks(&sidekey) - before;
    assert!(used < 100, "it spins: {used} ticks in three seconds");

    gate.open();
    let (mut good, mut refused) = (0, 0_u32);
    for mut caller in callers.drain(..) {
        let response = caller.response().await;
        if response.status == 200 {
            good += 1;
        } else {
            assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_connect")));
            refused += 1;
        }
    }
    assert_eq!((good, refused as usize), (held, 60 - held));
    assert_eq!(waiting.response().await.status, 200, "the waiting caller is served");
    for _ in 0..20 {
        assert_eq!(sidekey.get("/api/again").await.status, 200);
    }
    assert_eq!(Request::get(sidekey.admin_url("/readyz")).send().await.status, 200);
    let failures = sidekey.metric("sidekey_accept_failures_total", &[]).await;
    assert!(failures >= Some(2.0), "{failures:?}");
    let errors = sidekey.metric("sidekey_request_errors_total", &[("reason", "upstream_connect")]).await;
    assert_eq!(errors, Some(f64::from(refused)));
    assert_eq!(sidekey.log().matches(WAITS).count(), 1, "{}", sidekey.log());
}
